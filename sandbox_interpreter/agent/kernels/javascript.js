// The JavaScript kernel, for TypeScript too: cells run in one node, in V8's own REPL mode, so that top-level await works
// and let, const and class may be declared anew. It speaks the lines that agent/driver.py describes. What V8 does not
// take, and how errors are told, is in javascript_modules.js, which comes behind this file.
"use strict";

const fs = require("node:fs");
const inspector = require("node:inspector");
const path = require("node:path");
const util = require("node:util");
const vm = require("node:vm");
const { createRequire } = require("node:module");
const { setImmediate: turn } = require("node:timers/promises");
const { pathToFileURL } = require("node:url");

const [HEAR, TELL, PERMIT] = [3, 4, 5];
const INTERRUPTED = 130; // 128 + SIGINT, as a shell reports it
const MOST_TEXT = 512 * 1024; // characters of a shown value or a traceback

// --- what the agent says, and is told ---

// Calls a function of fs again as often as a signal has cut it short, which gVisor lets it do where Linux goes on.
function whole(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code !== "EINTR") throw error;
    }
  }
}

let unread = Buffer.alloc(0);

// Returns the next whole message in what was read, or null.
function nextMessage() {
  const end = unread.indexOf(10);
  if (end < 0) return null;
  const words = unread.subarray(0, end).toString("latin1").split(" ");
  const size = words[0] === "seen" ? 0 : Number(words.at(-1));
  const next = end + 1 + size;
  if (unread.length < next) return null;
  const payload = unread.toString("utf8", end + 1, next);
  unread = unread.subarray(next);
  return { words, payload };
}

// Returns the next message once it is there, standing still: for answers, while a cell runs.
function waitForMessage(kind) {
  const piece = Buffer.alloc(65536);
  for (;;) {
    const message = nextMessage();
    if (message === null) {
      const size = whole(() => fs.readSync(HEAR, piece));
      if (size === 0) process.reallyExit(0);
      unread = Buffer.concat([unread, piece.subarray(0, size)]);
    } else if (message.words[0] === kind) {
      return message;
    }
  }
}

// Promises the next message; meanwhile timers, servers and the like of earlier cells go on.
function messageToCome() {
  return new Promise((resolve) => {
    const piece = Buffer.alloc(65536);
    const read = () => {
      const message = nextMessage();
      if (message !== null) return resolve(message);
      fs.read(HEAR, piece, 0, piece.length, null, (error, size) => {
        if (error || size === 0) process.reallyExit(0);
        unread = Buffer.concat([unread, piece.subarray(0, size)]);
        read();
      });
    };
    read();
  });
}

function tell(words, payload = Buffer.alloc(0)) {
  const message = Buffer.concat([Buffer.from(words.map((word) => encodeURIComponent(word)).join(" ") + "\n"), payload]);
  for (let at = 0; at < message.length; ) at += whole(() => fs.writeSync(TELL, message, at));
}

function clipped(text, most = MOST_TEXT) {
  return (text.length <= most ? text : `${text.slice(0, most)}…`).toWellFormed();
}

// --- when an interrupt may come: while node changes from one handler to the other, it has none ---

const permit = Buffer.from("."); // the byte that we hold; 0 while it lies in the pipe

// Lets interrupts come: the handler that they are to meet stands.
function letInterrupts() {
  permit[0] = 0;
  whole(() => fs.writeSync(PERMIT, "."));
}

// Lets none come any more, and tells whether one has, even if it met nothing that it could stop. May be cut short by
// one itself, and called again.
function holdInterrupts() {
  if (permit[0] === 0) whole(() => fs.readSync(PERMIT, permit));
  return permit[0] === 33; // the agent's "!"
}

// --- values and pictures ---

const MAGIC = { "image/png": "89504e470d0a1a0a", "image/jpeg": "ffd8ff", "image/gif": "47494638", "image/webp": "52494646" };

function picture(value) {
  if (!(value instanceof Uint8Array)) return null;
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, 8)).toString("hex");
  return Object.keys(MAGIC).find((mime) => head.startsWith(MAGIC[mime])) ?? null;
}

function forms(value, mime) {
  const kind = mime ?? picture(value);
  if (kind) return { [kind]: Buffer.from(value), "text/plain": Buffer.from(`<${kind}>`) };
  return { "text/plain": Buffer.from(clipped(util.inspect(value))) };
}

function show(parts, result) {
  const sizes = Object.entries(parts).flatMap(([mime, data]) => [mime, data.length]);
  tell(["display", result ? 1 : 0, ...sizes], Buffer.concat(Object.values(parts)));
  if (cell.running) waitForMessage("seen"); // what is printed next must come behind it
}

// --- running ---

const cell = { running: false, asks: false, count: 0, fail: null };
const session = new inspector.Session();
session.connect();

const importFromWorkspace = new vm.Script("(name) => import(name)", {
  filename: path.join(process.cwd(), "cell.js"),
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
}).runInThisContext();

class Interrupted extends Error {}

class Thrown extends Error {}

const thrown = (value, details = {}) => Object.assign(new Thrown(), { value, details });

function post(method, parameters) {
  return new Promise((resolve, reject) => {
    session.post(method, parameters, (error, answer) => (error ? reject(new Error(error.message)) : resolve(answer)));
  });
}

const KEY = Symbol.for("sbi");

// Promises, in an array since it may be a promise itself, the value that the inspector describes.
async function live(remote) {
  if ("unserializableValue" in remote) return [vm.runInThisContext(remote.unserializableValue)];
  if (!remote.objectId) return [remote.value];
  let handed;
  globalThis[KEY] = (value) => { handed = [value]; };
  await post("Runtime.callFunctionOn", {
    functionDeclaration: `function (value) { globalThis[Symbol.for("sbi")](value); }`,
    objectId: remote.objectId, arguments: [{ objectId: remote.objectId }],
  });
  return handed;
}

const guarded = new vm.Script(`globalThis[Symbol.for("sbi")]()`, { filename: __filename });

// Does what a SIGINT ends, however busy; V8 then unwinds to here. Throws Interrupted.
function interruptibly(act) {
  let interrupted = false;
  globalThis[KEY] = () => {
    letInterrupts();
    act();
    // V8's watcher has heard of it, and would strike the next cell if it found this one gone.
    if (holdInterrupts()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  };
  try {
    guarded.runInThisContext({ breakOnSigint: true });
  } catch (error) {
    if (error.code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
    interrupted = true;
  } finally {
    interrupted = holdInterrupts() || interrupted;
  }
  if (interrupted) throw new Interrupted();
}

// Promises what ``act`` promises, unless a SIGINT comes first: then node's own handler hears of it.
async function interruptiblyAwait(act) {
  const interrupted = new Promise((_, reject) => { cell.fail = () => reject(new Interrupted()); });
  interrupted.catch(() => {});
  letInterrupts();
  try {
    return await Promise.race([act(), interrupted]);
  } finally {
    if (holdInterrupts()) { // one that has only just come waits in the event loop: let that turn once, whole
      await turn();
      await turn();
    }
    cell.fail = null;
  }
}

async function evaluate(source, name) {
  const parameters = { expression: `${source}\n//# sourceURL=${name}`, replMode: true, objectGroup: "cell" };
  let answer;
  interruptibly(() => { (answer = post("Runtime.evaluate", parameters)).catch(() => {}); });
  return interruptiblyAwait(async () => {
    const { result, exceptionDetails } = await answer;
    const [value] = await live(exceptionDetails?.exception ?? result);
    if (exceptionDetails) throw thrown(value, exceptionDetails);
    return util.types.isPromise(value) ? value.catch((error) => { throw thrown(error); }) : value;
  });
}

async function run(language, source, name) {
  const program = prepare(language, source, name);
  if (program.wrong) {
    report("SyntaxError", program.wrong.text, `${name}:${program.wrong.line}\nSyntaxError: ${program.wrong.text}\n`);
    return 1;
  }
  try {
    const value = await evaluate(program.source, name);
    if (value !== undefined) {
      globalThis._ = value;
      show(forms(value), true);
    }
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) {
      session.disconnect(); // what goes on waiting must answer no one: V8 aborts when it is collected
      session.connect();
      report("KeyboardInterrupt", "", "Interrupted\n");
      return INTERRUPTED;
    }
    reportThrown(error instanceof Thrown ? error : thrown(error), name, program);
    return 1;
  } finally {
    session.post("Runtime.releaseObjectGroup", { objectGroup: "cell" });
  }
}

process.on("uncaughtException", (error) => {
  process.stderr.write(`Uncaught ${ownFrames(inspected(error))}\n`);
  cell.stray = true; // from a callback; the cell that runs has failed with it
});

// While a cell runs synchronously V8 takes the interrupt itself.
process.on("SIGINT", () => cell.fail?.());

// --- what a cell finds ---

const requireFromWorkspace = createRequire(path.join(process.cwd(), "cell.js"));
requireFromWorkspace.main = module; // so that `if (require.main === module) main()` does what it does in a file
Object.assign(globalThis, {
  require: requireFromWorkspace, module, exports: module.exports, __dirname: process.cwd(),
  __filename: path.join(process.cwd(), "cell.js"),
  display(value, mime) { show(forms(value, mime), false); },
  prompt(question = "") {
    if (!cell.asks) throw new Error("this run has no one to answer prompt(); pass the value in the code");
    tell(["input", clipped(String(question), 1000), 0]);
    return waitForMessage("reply").payload;
  },
});
globalThis[Symbol.for("sbi.import")] = async (name) => importFromWorkspace(
  /^\.{0,2}\//.test(name) ? pathToFileURL(path.resolve(name)).href : name);

// Output that waits in node would come behind the end of its cell, and a flood would fill the memory.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);

setInterval(() => {}, 2 ** 30); // a cell that waits for nothing that comes must not end the process

async function serve() {
  for (;;) {
    const { words, payload } = await messageToCome();
    if (words[0] !== "execute") continue;
    cell.count += 1;
    Object.assign(cell, { running: true, asks: words[2] === "1", stray: false, fail: null });
    let code = await run(words[1], payload, `cell-${cell.count}`);
    if (cell.stray && code === 0) code = 1;
    cell.running = false;
    tell(["done", code]);
  }
}
