/**
 * The answer's head, read from bytes: status, header fields, and where the body ends (RFC 9112).
 *
 * Stricter than the RFC asks a client to be: lines end in CRLF, nothing is folded, no length is said twice. Whoever
 * disagrees with us on where an answer ends could make the next request get a foreign answer.
 */
import { ANSWER_BODY_BYTES_MAX, type HttpAnswer } from "./transport.ts";

/** The server breaks the rules; the message is the state only. */
export class FramingError extends Error {
  override readonly name = "FramingError";
}

export interface AnswerHead {
  readonly status: number;
  /** All of the head; {@link Answer} looks fields up in it. */
  readonly text: string;
  /** Where in the bytes the body starts. */
  readonly end: number;
  /** Null = not said. */
  readonly contentLength: number | null;
  readonly isChunked: boolean;
  /** The connection ends with this answer. */
  readonly isLast: boolean;
}

const [TAB, LF, CR, SPACE, COLON, DELETE] = [0x09, 0x0a, 0x0d, 0x20, 0x3a, 0x7f];
const COLLECTED_BYTES_MIN = 16 * 1_024;
const decoder = new TextDecoder();
const PREFIX = [..."HTTP/1."].map((character) => character.charCodeAt(0));
/** 1 for what a field's name may consist of (RFC 9110, 5.6.2). */
const TOKEN = Uint8Array.from({ length: 256 }, (_, code) =>
  /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(code)) && code < 128 ? 1 : 0,
);

/** The head that starts at `start`; null when `end` comes before its end. Throws {@link FramingError} as soon as it is none. */
export function readHead(bytes: Uint8Array, start: number, end: number): AnswerHead | null {
  for (let index = 0; index < PREFIX.length && start + index < end; index++) {
    if (bytes[start + index] !== PREFIX[index]) throw new FramingError("it is not HTTP/1");
  }
  const statusEnd = readLine(bytes, start, end);
  if (statusEnd === -1) return null;
  const [minor, status] = readStatus(bytes, start, statusEnd);
  let contentLength: number | null = null;
  let isChunked = false;
  let isLast = minor === 0;
  for (let at = statusEnd + 2; ;) {
    if (at + 1 >= end) return null;
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      if (isChunked && (contentLength !== null || minor === 0)) {
        throw new FramingError("it says in two ways where its body ends");
      }
      const text = decoder.decode(bytes.subarray(start, at));
      return { status, text, end: at + 2, contentLength, isChunked, isLast };
    }
    let colon = at;
    while (colon < end && TOKEN[bytes[colon] ?? 0] === 1) colon++;
    if (colon >= end) return null;
    if (colon === at || bytes[colon] !== COLON) throw new FramingError("a header field has no proper name");
    const lineEnd = readLine(bytes, colon, end);
    if (lineEnd === -1) return null;
    // Told apart by length first: most fields are none of these.
    switch (colon - at) {
      case 10:
        if (!isNamed(bytes, at, "connection")) break;
        isLast = readConnection(valueOf(bytes, colon, lineEnd), isLast);
        break;
      case 14:
        if (!isNamed(bytes, at, "content-length")) break;
        if (contentLength !== null) throw new FramingError("it says its length twice");
        contentLength = readLength(valueOf(bytes, colon, lineEnd));
        break;
      case 17:
        if (!isNamed(bytes, at, "transfer-encoding")) break;
        if (isChunked || valueOf(bytes, colon, lineEnd).toLowerCase() !== "chunked") {
          throw new FramingError("its transfer encoding is not the one we know");
        }
        isChunked = true;
    }
    at = lineEnd + 2;
  }
}

/** The size of a chunk, from its line without the CRLF. */
export function readChunkSize(bytes: Uint8Array, start: number, end: number): number {
  const line = decoder.decode(bytes.subarray(start, end));
  const match = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i.exec(line);
  if (match === null) throw new FramingError("a chunk has no proper size");
  return Number.parseInt(match[1] ?? "", 16);
}

/** Where the line's CR is; -1 when `end` comes first. Throws at what may stand in no line. */
export function readLine(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const code = bytes[at] ?? 0;
    if (code >= SPACE ? code !== DELETE : code === TAB) continue;
    if (code !== CR || (at + 1 < end && bytes[at + 1] !== LF)) {
      throw new FramingError("a line has characters that it may not have");
    }
    return at + 1 < end ? at : -1;
  }
  return -1;
}

export class Answer implements HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly #text: string;

  constructor(head: AnswerHead, body: Uint8Array) {
    this.status = head.status;
    this.body = body;
    this.#text = head.text;
  }

  /** Searches the text, because hardly more than two fields of an answer are ever asked for. */
  header(name: string): string | null {
    const text = this.#text;
    let found: string | null = null;
    for (let at = text.indexOf("\r\n") + 2; at < text.length;) {
      let end = text.indexOf("\r\n", at);
      if (end === -1) end = text.length;
      if (text[at + name.length] === ":" && text.slice(at, at + name.length).toLowerCase() === name) {
        const value = trim(text.slice(at + name.length + 1, end));
        found = found === null ? value : `${found}, ${value}`;
      }
      at = end + 2;
    }
    return found;
  }
}

/** A body of unknown length; it is where the caller wanted it for as long as it fits. */
export class Collected {
  readonly #tooLarge: () => Error;
  #bytes: Uint8Array;
  #length = 0;

  constructor(into: Uint8Array, tooLarge: () => Error) {
    this.#bytes = into;
    this.#tooLarge = tooLarge;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > ANSWER_BODY_BYTES_MAX) throw this.#tooLarge();
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#length, COLLECTED_BYTES_MIN));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }
}

/** The minor version and the status. */
function readStatus(bytes: Uint8Array, start: number, end: number): [minor: number, status: number] {
  const digit = (index: number) => (index < end ? (bytes[index] ?? 0) - 0x30 : -1);
  const minor = digit(start + 7);
  const [hundreds, tens, ones] = [digit(start + 9), digit(start + 10), digit(start + 11)];
  const isDigits = [hundreds, tens, ones].every((value) => value >= 0 && value <= 9);
  const hasSpaces = bytes[start + 8] === SPACE && (start + 12 === end || bytes[start + 12] === SPACE);
  if ((minor !== 0 && minor !== 1) || !isDigits || hundreds < 1 || !hasSpaces) {
    throw new FramingError("its status line is none");
  }
  return [minor, hundreds * 100 + tens * 10 + ones];
}

/** `name` in lower case. */
function isNamed(bytes: Uint8Array, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    // A letter's case is one bit, and the dash has it set.
    if (((bytes[start + index] ?? 0) | 0x20) !== name.charCodeAt(index)) return false;
  }
  return true;
}

function valueOf(bytes: Uint8Array, colon: number, end: number): string {
  return trim(decoder.decode(bytes.subarray(colon + 1, end)));
}

/** Only what HTTP takes for white space. */
function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

function readLength(value: string): number {
  if (!/^[0-9]{1,15}$/.test(value)) throw new FramingError("its length is no number");
  return Number(value);
}

function readConnection(value: string, isLast: boolean): boolean {
  const options = value
    .toLowerCase()
    .split(",")
    .map((option) => trim(option));
  if (options.includes("close")) return true;
  return options.includes("keep-alive") ? false : isLast;
}
