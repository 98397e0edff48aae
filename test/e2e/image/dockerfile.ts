import { DockerfileParser, Env, Label, ModifiableInstruction } from "dockerfile-ast";

/** One instruction of a Dockerfile. */
export interface Instruction {
  readonly keyword: string;
  /** `--from=build` is `from: build`. */
  readonly flags: ReadonlyMap<string, string>;
  /** What follows the flags, as it was written, continued lines and all. */
  readonly text: string;
  /** Of ENV and LABEL. */
  readonly pairs: ReadonlyMap<string, string>;
}

export interface Stage {
  /** What FROM names, with its tag. */
  readonly base: string;
  /** By which COPY --from knows it. */
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, in order. */
export function readDockerfile(text: string): Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const parsed of DockerfileParser.parse(text).getInstructions()) {
    const instruction = readInstruction(parsed);
    if (instruction.keyword === "FROM") {
      const [base = "", , name] = words(instruction);
      stages.push({ base, name, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

type Parsed = ReturnType<ReturnType<typeof DockerfileParser.parse>["getInstructions"]>[number];

function readInstruction(parsed: Parsed): Instruction {
  const flags = parsed instanceof ModifiableInstruction ? parsed.getFlags() : [];
  const pairs = parsed instanceof Env || parsed instanceof Label ? parsed.getProperties() : [];
  return {
    keyword: parsed.getKeyword(),
    flags: new Map(flags.map((flag) => [flag.getName(), flag.getValue() ?? ""])),
    text: (parsed.getRawArgumentsContent() ?? "").replace(/^(?:--\S+\s+(?:\\\n\s*)?)*/u, ""),
    pairs: new Map(pairs.map((pair) => [pair.getName(), pair.getValue() ?? ""])),
  };
}

/** The words of an instruction that takes several. */
export function words({ text }: Instruction): string[] {
  return text.trim().split(/\s+/u);
}

/** The exec form of CMD, ENTRYPOINT and HEALTHCHECK: what is run without a shell. Throws where it is the shell form. */
export function execForm({ keyword, text }: Instruction): string[] {
  const command: unknown = JSON.parse(text.replace(/^CMD\s+/u, ""));
  if (Array.isArray(command)) return command.map(String);
  throw new Error(`${keyword} is not in exec form`);
}
