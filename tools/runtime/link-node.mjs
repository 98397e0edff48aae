/**
 * Run by `npm ci` in a checkout: makes sure that node_modules/.bin/node is Node 24. npm 11 has linked it by now; npm 10, which
 * comes with Node 20, removes the link again together with the package for the other architecture.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { arch, platform } from "node:process";

const modules = new URL("../../node_modules/", import.meta.url);
const binary = `node-${platform}-${arch}/bin/node`;
const link = new URL(".bin/node", modules);

// Other platforms bring their own Node 24, as CONTRIBUTING.md says.
if (existsSync(new URL(binary, modules)) && !existsSync(link)) {
  mkdirSync(new URL(".bin/", modules), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(`../${binary}`, link);
}
