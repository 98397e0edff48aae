/** The Dockerfile, read and not built: test/e2e/image.e2e.ts does what it says. */
import { readFileSync } from "node:fs";
import { validate } from "dockerfile-utils";
import { expect, it } from "vitest";
import { execForm, readDockerfile, words } from "./e2e/image/dockerfile.ts";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const text = read("Dockerfile");
const stages = readDockerfile(text);

const linesOf = (name: string) =>
  read(name)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

it("the linter finds nothing", () => {
  expect(validate(text)).toEqual([]);
  expect(validate(text.replace("USER 1000:1000", "MAINTAINER nobody"))).toHaveLength(1);
});

it(".dockerignore lets pass what is copied, and nothing else", () => {
  const copied = stages
    .flatMap(({ instructions }) => instructions)
    .filter(({ keyword, flags }) => keyword === "COPY" && !flags.has("from"))
    .flatMap((instruction) => words(instruction).slice(0, -1));
  const [first, ...rules] = linesOf(".dockerignore");
  expect(first).toBe("*");
  expect(rules.toSorted()).toEqual([...new Set(copied)].map((path) => `!${path}`).toSorted());
});

it("what runs is no shell, and its user is a number that is not root's", () => {
  const last = stages.at(-1)?.instructions ?? [];
  const one = (keyword: string) => last.filter((instruction) => instruction.keyword === keyword);
  for (const keyword of ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
    expect(one(keyword).map((instruction) => execForm(instruction).length)).toEqual([expect.any(Number)]);
  expect(one("USER").map((instruction) => instruction.text)).toEqual([
    expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/u),
  ]);
});
