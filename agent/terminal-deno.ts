/** The person in front of the program: what they type, what they read, and whether there is one. */

/** What a person types and what a pipe brings is no more than this. */
const TYPED_BYTES_MAX = 16 * 1024;

export function isPersonThere(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

/** For what is said over again on one line. */
export function isErrorTerminal(): boolean {
  return Deno.stderr.isTerminal();
}

/** The first line of standard input; of a person asked with `prompt`, and then, if `isSecret`, not shown. */
export async function readLine(
  prompt: string,
  { isSecret }: { readonly isSecret: boolean },
): Promise<string> {
  const isTyped = Deno.stdin.isTerminal();
  if (!isTyped) return await firstLine();
  say(prompt);
  // Signals still work, and nothing typed is shown.
  if (isSecret) Deno.stdin.setRaw(true, { cbreak: Deno.build.os !== "windows" });
  try {
    return await firstLine();
  } finally {
    if (isSecret) {
      Deno.stdin.setRaw(false);
      say("\n");
    }
  }
}

/** To standard error, as it is. */
export function say(text: string): void {
  write(Deno.stderr, new TextEncoder().encode(text));
}

/** To standard output: a text with the end of its line, or bytes as they are. */
export function print(text: string | Uint8Array): void {
  write(Deno.stdout, typeof text === "string" ? new TextEncoder().encode(`${text.trimEnd()}\n`) : text);
}

function write(to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += to.writeSync(bytes.subarray(written));
}

async function firstLine(): Promise<string> {
  const bytes = new Uint8Array(TYPED_BYTES_MAX);
  let length = 0;
  while (length < bytes.length && !bytes.subarray(0, length).some((byte) => byte === 0x0a || byte === 0x0d)) {
    const count = await Deno.stdin.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length)).split(/[\r\n]/)[0] ?? "";
}
