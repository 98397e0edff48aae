import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { hasBookworm } from "./bookworm.ts";
import { COMPILE_CACHE_DEBUG, compileCacheUse } from "../helpers/compile-cache.ts";
import { buildImage, type Image } from "./image/build.ts";
import { Container } from "./image/container.ts";
import { worldFolder } from "./namespaces.ts";
import { eventually, mustRun } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { type MailDomain, policy } from "./world.ts";

const labels = { VERSION: "1.2.3", REVISION: "0123abc", CREATED: "2026-11-22T00:00:00Z" };

describe.skipIf(!(await hasBookworm()))("the image (needs the bookworm folder)", () => {
  const world = useWorld("image");

  let image: Image;
  let container: Container;
  let domain: MailDomain;
  beforeAll(async () => {
    // The container takes its port.
    await world().stsmapd.stop();
    image = await buildImage(`${worldFolder}/image-build`, labels);
    const sts = { id: "1", policy: policy("enforce", [mx.good]) };
    domain = await world().publish({ name: "image.example", mx: [mx.good], sts });
    const authority = world().authority.rootFile;
    container = new Container(image, `${world().folder}/container`, dirname(authority), {
      STSMAPD_FETCH_CA_FILE: `/mnt/${basename(authority)}`,
      STSMAPD_FETCH_ALLOW_ADDRESSES: "[10.53.0.0/16]",
    });
  }, 120_000);

  afterEach(async () => {
    await container.kill();
  });

  async function started(): Promise<void> {
    await container.start();
    await eventually("the container to be healthy", async () => (await container.healthcheck()).code === 0);
  }

  it("has what runs, and nothing that builds, tests, or is for another system", async () => {
    const lock = await readFile(`${image.folder}/usr/lib/stsmapd/node_modules/.package-lock.json`, "utf8");
    const packages: [string, { dev?: boolean }][] = Object.entries(JSON.parse(lock).packages);
    expect(packages.length).toBeGreaterThan(0);
    expect(packages.filter(([, { dev }]) => dev === true)).toEqual([]);
    expect(await find(image, "-name", "npm")).toBe("");
    expect((await find(image, "-name", "*.node")).split("\n").map((file) => basename(file))).toHaveLength(2);
    expect(await find(image, "(", "-perm", "/6000", "-o", "-perm", "-o+w", ")", "!", "-type", "l")).toBe("");
    expect(await find(image, "-name", "sqlite3.c")).toBe("");
  });

  it("says what it is", () => {
    const label = (name: string) => image.labels.get(`org.opencontainers.image.${name}`);
    expect(label("version")).toBe(labels.VERSION);
    expect(label("revision")).toBe(labels.REVISION);
    expect(label("created")).toBe(labels.CREATED);
    expect(label("base.name")).toBe(`docker.io/library/${image.base}`);
  });

  it("answers Postfix: as process 1, without any privilege, on a tree that cannot be written to", async () => {
    await started();
    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });

    const status = await readFile(`/proc/${await container.processId()}/status`, "utf8");
    expect(status).toMatch(/^NSpid:.*\t1$/mu);
    expect(status).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/mu);
    expect(status).toMatch(/^CapBnd:\t0{16}$/mu);
    expect(await container.exec(["touch", "/usr/lib/stsmapd/dist/x"])).toMatchObject({
      stderr: expect.stringContaining("Read-only file system"),
    });
    expect(await container.exec(["stsmapd", "cache", "list"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(domain.name),
    });
  });

  it("has what Node compiled of the daemon, which is root's", async () => {
    await started();
    const load = ["--require", "/usr/lib/stsmapd/dist/serve.js", "/usr/local/bin/stsmapd", "--version"];
    const { stderr } = await container.exec(["env", COMPILE_CACHE_DEBUG, "node", ...load]);
    const { accepted, compiled } = compileCacheUse(stderr);
    expect(accepted).toEqual(expect.arrayContaining(["main.js", "program.js", "serve.js"]));
    expect(compiled).toEqual([]);
    expect(await find(image, "!", "-user", "root")).toBe("");
  });

  it("ends by SIGTERM within ten seconds, with status 0, and keeps its cache", async () => {
    await started();
    const { code, duration } = await container.stop("SIGTERM");
    expect(code).toBe(0);
    expect(duration).toBeLessThan(10_000);

    await world().policyHosts.takeDown(`mta-sts.${domain.name}`);
    await started();
    const { stdout } = await world().sender.query("socketmap:inet:127.0.0.1:8461:postfix", domain.name);
    expect(stdout).toBe(`secure match=${mx.good} servername=hostname\n`);
  });

  it("is unhealthy while the daemon does not answer", async () => {
    await started();
    const pid = await container.processId();
    process.kill(pid, "SIGSTOP");
    const health = await container.healthcheck();
    process.kill(pid, "SIGCONT");
    expect(health).toMatchObject({ code: 69, stderr: expect.stringContaining("no reply within 4 s") });
    expect(await container.healthcheck()).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });

  it("runs other commands too, and finds no daemon where there is none", async () => {
    await container.start(["health"]);
    expect(await container.ended()).toBe(69);
    expect(await container.log()).toContain("ECONNREFUSED");
  });
});

/** find(1) in what the image adds to its base. */
async function find({ folder }: Image, ...what: string[]): Promise<string> {
  return (await mustRun("find", [`${folder}/usr/lib/stsmapd`, `${folder}/usr/local`, ...what])).trim();
}
