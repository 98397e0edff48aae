/** New inputs out of old ones: small accidents, words of the target's language, and pieces of other inputs. */
import type { SeededRandom } from "../helpers/seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

type Mutation = (
  input: Buffer,
  random: SeededRandom,
  others: readonly Buffer[],
  words: readonly string[],
) => Buffer;

/** Octets on which parsers trip: ends of ranges, separators, and what starts something in UTF-8. */
const INTERESTING = [
  0, 1, 9, 10, 13, 32, 34, 37, 44, 46, 47, 48, 57, 58, 59, 61, 64, 91, 93, 123, 125, 127, 128, 192, 224, 255,
];

/** Most accidents that one input meets with. */
const MOST_AT_ONCE = 5;
/** Octets of the longest piece that is copied, and how often one is repeated. */
const LONGEST_PIECE = 64;
const MOST_REPEATS = 40;

function replaced(input: Buffer, from: number, to: number, by: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, from), by, input.subarray(to)]);
}

/** A piece of `input`: where it starts and ends. */
function piece(input: Buffer, random: SeededRandom): [from: number, to: number] {
  const from = random.below(input.length + 1);
  return [from, Math.min(input.length, from + random.below(LONGEST_PIECE) + 1)];
}

const MUTATIONS: readonly Mutation[] = [
  function flipBit(input, random) {
    const copy = Buffer.from(input);
    const at = random.below(input.length + 1);
    if (at < copy.length) copy[at] = copy[at]! ^ (1 << random.below(8));
    return copy;
  },
  function setOctet(input, random) {
    const at = random.below(input.length + 1);
    const octet = random.chance(0.5) ? random.pick(INTERESTING) : random.below(256);
    return replaced(input, at, Math.min(at + random.below(2), input.length), Buffer.of(octet));
  },
  function remove(input, random) {
    return replaced(input, ...piece(input, random), Buffer.of());
  },
  function copy(input, random) {
    const at = random.below(input.length + 1);
    return replaced(input, at, at, input.subarray(...piece(input, random)));
  },
  function repeat(input, random) {
    const [from, to] = piece(input, random);
    const times = random.below(MOST_REPEATS);
    return replaced(
      input,
      from,
      from,
      Buffer.concat(Array.from({ length: times }, () => input.subarray(from, to))),
    );
  },
  function writeWord(input, random, _, words) {
    const [from, to] = random.chance(0.5) ? piece(input, random) : [random.below(input.length + 1), 0];
    return replaced(input, from, Math.max(from, to), Buffer.from(random.pick(words), "latin1"));
  },
  function writeNumber(input, random) {
    const digits = /[0-9]+/g;
    const places = [...input.toString("latin1").matchAll(digits)];
    if (places.length === 0) return input;
    const place = random.pick(places);
    const number = random.pick([
      "0",
      "1",
      "01",
      "9",
      "10000",
      "10001",
      "65536",
      "4294967296",
      "99999999999",
      "-1",
    ]);
    return replaced(input, place.index, place.index + place[0].length, Buffer.from(number));
  },
  function cross(input, random, others) {
    const other = random.pick(others);
    return Buffer.concat([
      input.subarray(0, random.below(input.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
  function swapLines(input, random) {
    const lines = input.toString("latin1").split("\n");
    const [line = ""] = lines.splice(random.below(lines.length), 1);
    lines.splice(random.below(lines.length + 1), 0, line);
    return Buffer.from(lines.join("\n"), "latin1");
  },
];

/** One of `others` with some accidents, no longer than the target allows. */
export function mutated(others: readonly Buffer[], target: FuzzTarget, random: SeededRandom): Buffer {
  let input = random.pick(others);
  for (let left = 1 + random.below(MOST_AT_ONCE); left > 0; left--) {
    input = random.pick(MUTATIONS)(input, random, others, target.dictionary);
  }
  return input.subarray(0, target.maxLength);
}
