/**
 * What counts as one address where addresses are counted: an IPv4 address, or the /64 of an IPv6 address, which is what one
 * line gets; otherwise a single line would have 2^64 of them.
 */

export function networkOf(address: string | null): string {
  if (address === null) return "unknown";
  if (!address.includes(":")) return address.slice(0, 64);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  const prefix = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""));
  return `${prefix.join(":")}::/64`.slice(0, 64);
}
