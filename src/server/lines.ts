/** Cuts a stream of octets into lines. */
const LF = 0x0a;

/**
 * The lines of `source` without their LF; the last needs none. Of a line longer than `limit` only `limit + 1` octets are
 * kept, by which the reader sees that it is too long.
 */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const keep = (part: Uint8Array) => {
    const kept = part.subarray(0, limit + 1 - length);
    if (kept.length === 0) return;
    parts.push(kept);
    length += kept.length;
  };
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      keep(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (length > 0) yield Buffer.concat(parts);
}
