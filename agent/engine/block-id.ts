/**
 * The id of a block: 16 random bytes of the attempt and the block's index, big-endian, in base 64.
 *
 * The random part keeps the blocks of two attempts, or of two agents, on one name apart. All ids have one length, as the
 * service demands.
 */
export const ATTEMPT_BYTES = 16;

export function blockId(attempt: Uint8Array, index: number): string {
  const bytes = new Uint8Array(ATTEMPT_BYTES + 8);
  bytes.set(attempt);
  new DataView(bytes.buffer).setBigUint64(ATTEMPT_BYTES, BigInt(index));
  return bytes.toBase64();
}

/** The index of a block of this attempt; null for any other id. */
export function blockIndex(attempt: Uint8Array, id: string): number | null {
  const index = indexOf(id);
  // Written again and compared, so that no other spelling of an id passes for ours.
  return index !== null && blockId(attempt, index) === id ? index : null;
}

function indexOf(id: string): number | null {
  try {
    const bytes = Uint8Array.fromBase64(id);
    if (bytes.length !== ATTEMPT_BYTES + 8) return null;
    const index = Number(new DataView(bytes.buffer).getBigUint64(ATTEMPT_BYTES));
    return Number.isSafeInteger(index) ? index : null;
  } catch {
    return null;
  }
}
