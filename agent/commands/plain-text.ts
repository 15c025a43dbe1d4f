/** Names and sizes as a person in front of a terminal reads them. */

/** In quotes, and with nothing in it that acts on a terminal or turns the direction of the text. */
export function shown(name: string): string {
  return JSON.stringify(name.toWellFormed()).replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

export function count(number: number, word: string): string {
  return `${number.toLocaleString("en-US")} ${word}${number === 1 ? "" : "s"}`;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"] as const;

export function size(bytes: number): string {
  let rest = bytes;
  let unit = 0;
  while (rest >= 1_000 && unit < UNITS.length - 1) {
    rest /= 1_000;
    unit++;
  }
  return unit === 0 ? count(bytes, "byte") : `${rest.toFixed(rest < 10 ? 1 : 0)} ${UNITS[unit]}`;
}
