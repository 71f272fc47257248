// Lets npm say at once, in one line, why it reaches no registry. Loaded before npm itself; it changes nothing where there
// is a way out, and a server of the sandbox's own is still reached.
"use strict";

const fs = require("node:fs");
const os = require("node:os");

const WHY = "npm error This sandbox has no network, so no package registry can be reached. "
  + "What changes that is the setting network (--network).\n";
const PROXIES = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

const hasWayOut = PROXIES.some((name) => process.env[name])
  || Object.values(os.networkInterfaces()).flat().some((address) => !address.internal);

if (!hasWayOut) {
  // Not every failure matters: an install from a file asks for advisories, too, and does without. So npm goes on, and
  // only what it says of a registry at its end is replaced; it would be four lines that blame a proxy.
  const said = [];
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text, ...rest) => {
    if (!String(text).startsWith("npm error")) return write(text, ...rest);
    said.push(String(text));
    return true;
  };
  process.on("exit", () => {
    const isNetwork = said.some((text) => /npm error code (EAI_AGAIN|ENOTFOUND|ENETUNREACH)/.test(text));
    fs.writeSync(2, isNetwork ? WHY : said.join(""));
  });
}
