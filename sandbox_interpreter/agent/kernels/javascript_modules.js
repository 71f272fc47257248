// What V8's REPL mode does not take: types, and import and export of modules; and how errors are told. This is the second
// half of javascript.js.

// --- types and modules ---

const IMPORTS = /\b(import|export)\b/;

// Tells whether a cell is an object's literal, which would else be a block.
function isObject(source) {
  if (!/^\s*\{[^]*\}\s*$/.test(source)) return false;
  try {
    return Boolean(new vm.Script(`(${source})`));
  } catch {
    return false;
  }
}

// Returns source that V8 takes, and how its lines map to the user's where they differ.
function prepare(language, source, name) {
  if (language !== "typescript") return { source: withoutModules(isObject(source) ? `(${source})` : source) };
  const ts = require("typescript");
  const { outputText, sourceMapText, diagnostics } = ts.transpileModule(source, {
    fileName: `${name}.ts`, reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true,
      sourceMap: true, removeComments: false },
  });
  const wrong = diagnostics.find((each) => each.category === ts.DiagnosticCategory.Error);
  if (wrong) {
    const { line } = ts.getLineAndCharacterOfPosition(wrong.file, wrong.start);
    return { source: "", wrong: { line: line + 1, text: ts.flattenDiagnosticMessageText(wrong.messageText, "\n") } };
  }
  const plain = outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "");
  return { source: withoutModules(plain), map: new (require("node:module").SourceMap)(JSON.parse(sourceMapText)) };
}

// Returns source whose imports are awaited calls and whose exports are plain declarations, line for line.
function withoutModules(source) {
  if (!IMPORTS.test(source)) return source;
  let ts;
  try {
    ts = require("typescript");
  } catch {
    return source; // this image has no parser; V8 says what it does not take
  }
  const file = ts.createSourceFile("cell.js", source, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  const edits = [];
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      edits.push([node.getStart(), node.end, declarationFor(ts, node)]);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      edits.push([node.expression.getStart(), node.expression.end, IMPORT]);
      node.arguments.forEach(visit);
    } else if (ts.isExportDeclaration(node) && !node.moduleSpecifier) {
      edits.push([node.getStart(), node.end, ""]);
    } else {
      for (const word of node.modifiers ?? []) {
        if ([ts.SyntaxKind.ExportKeyword, ts.SyntaxKind.DefaultKeyword].includes(word.kind)) {
          edits.push([word.getStart(), word.end, ""]);
        }
      }
      ts.forEachChild(node, visit);
    }
  };
  visit(file);
  return edits.reverse().reduce((text, [start, end, put]) => {
    const lines = text.slice(start, end).split("\n").length - put.split("\n").length;
    return text.slice(0, start) + put + "\n".repeat(lines) + text.slice(end);
  }, source);
}

const IMPORT = `globalThis[Symbol.for("sbi.import")]`;

function declarationFor(ts, node) {
  const module = `await ${IMPORT}(${node.moduleSpecifier.getText()})`;
  const clause = node.importClause;
  if (!clause) return `${module};`;
  const bindings = clause.namedBindings;
  const names = clause.name ? [`default: ${clause.name.text}`] : [];
  if (bindings && ts.isNamespaceImport(bindings)) {
    const whole = bindings.name.text;
    return `const ${whole} = ${module};` + (clause.name ? ` const { ${names} } = ${whole};` : "");
  }
  for (const each of bindings?.elements ?? []) {
    names.push(each.propertyName ? `${each.propertyName.getText()}: ${each.name.text}` : each.name.text);
  }
  return `const { ${names.join(", ")} } = ${module};`;
}

// --- errors ---

function report(name, value, text) {
  const trace = Buffer.from(clipped(text));
  tell(["error", clipped(name, 500), clipped(value, 500), trace.length], trace);
}

// Says what was thrown, with the user's own frames and lines only.
function reportThrown({ value, details }, name, program) {
  const isError = util.types.isNativeError(value);
  let text = isError ? ownFrames(inspected(value)) : `Uncaught ${inspected(value)}`;
  if (isError && value.name === "SyntaxError" && details.lineNumber !== undefined && !text.includes(`${name}:`)) {
    text = `${name}:${details.lineNumber + 1}:${details.columnNumber + 1}\n${text}`;
  }
  if (program.map) text = text.replaceAll(new RegExp(`${name}:(\\d+):(\\d+)`, "g"), (found, line, column) => {
    const entry = program.map.findEntry(line - 1, column - 1);
    return entry.originalLine === undefined ? found : `${name}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
  report(isError ? String(value.name) : "Uncaught", isError ? String(value.message) : inspected(value), `${text}\n`);
}

function inspected(value) {
  try {
    return util.inspect(value);
  } catch {
    return "something that cannot be shown";
  }
}

function ownFrames(text) {
  const ours = (line) => /^\s+at /.test(line) && (line.includes(__filename) || /node:(inspector|vm)/.test(line)
    || /at (new Promise|process\.processTicksAndRejections)/.test(line));
  return text.split("\n").filter((line) => !ours(line)).join("\n");
}

serve();
