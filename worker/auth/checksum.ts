/** The checksum at the end of our keys: lets us refuse nonsense before anything is asked, and scanners trust a find. */

/** CRC-32 (ISO 3309) as eight hex digits. */
export function crc32(text: string): string {
  let crc = 0xffff_ffff;
  for (const character of text) {
    crc ^= character.charCodeAt(0) & 0xff;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return ((crc ^ 0xffff_ffff) >>> 0).toString(16).padStart(8, "0");
}
