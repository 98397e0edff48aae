import { ConfigError, parseConfig } from "../../src/config.ts";

/** What is wrong with `text` as the file f.yaml; empty if nothing is. */
export function problemsOf(text: string, env: Record<string, string> = {}): readonly string[] {
  try {
    parseConfig(text, "f.yaml", env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
