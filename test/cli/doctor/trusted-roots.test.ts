/** What doctor counts in a file of roots. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatherRoots } from "../../../src/cli/doctor/trusted-roots.ts";
import { createCa } from "../../helpers/certificates.ts";
import { temporaryFolder } from "../../store/entries.ts";
import { postfixFacts } from "./facts.ts";

const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
const lacks = existsSync(BUNDLE) ? "" : ` (needs ${BUNDLE})`;

describe.skipIf(lacks !== "")(`a file of roots${lacks}`, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let bundle: string;
  beforeAll(() => {
    folder = temporaryFolder();
    bundle = readFileSync(BUNDLE, "latin1");
  });
  afterAll(() => folder.remove());

  const ownIn = async (text: string) => {
    const file = join(folder.path, "roots.pem");
    writeFileSync(file, text);
    const { sources } = await gatherRoots(postfixFacts({ parameters: { smtp_tls_CAfile: file } }));
    return sources[0]?.found;
  };

  it("has none of one's own where all are public, also those that Node does not have", async () => {
    expect(await ownIn(bundle)).toEqual({ known: expect.any(Number), own: 0 });
  });

  it("has the one that was added", async () => {
    expect(await ownIn(`${bundle}\n${createCa("Mine").pem}`)).toMatchObject({ own: 1 });
    expect(await ownIn(createCa("Mine").pem)).toEqual({ known: 0, own: 1 });
  });
});
