/**
 * The id of a block: the salt of the epoch, the block's index and the checksum of its content, in base 64.
 *
 * A block that waits at the destination says by its id what is in it, because the service has checked the content against
 * this very checksum when it arrived. So nothing about blocks has to be remembered here: after a crash the file is read
 * again, and blocks whose ids are there already are not sent. The salt keeps the blocks of two epochs, or of two agents, on
 * one name apart. All ids have one length, as the service demands; 36 bytes need no padding.
 */
export const SALT_BYTES = 16;
const CHECKSUM_BYTES_MAX = 16;
const LENGTH = SALT_BYTES + 4 + CHECKSUM_BYTES_MAX;

export function blockId(salt: Uint8Array, index: number, checksum: Uint8Array): string {
  const bytes = new Uint8Array(LENGTH);
  bytes.set(salt);
  new DataView(bytes.buffer).setUint32(SALT_BYTES, index);
  bytes.set(checksum, SALT_BYTES + 4);
  return bytes.toBase64();
}

/** Whether this is the id of a block of this epoch at this place, whatever is in it. */
export function isBlockAt(id: string, salt: Uint8Array, index: number): boolean {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(id);
  } catch {
    return false;
  }
  if (bytes.length !== LENGTH || new DataView(bytes.buffer).getUint32(SALT_BYTES) !== index) return false;
  return salt.every((byte, at) => bytes[at] === byte);
}
