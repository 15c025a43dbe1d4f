import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { destinationContract, sourceContract } from "./contract.ts";
import { MemoryDestination, MemorySource } from "./memory.ts";

const register = (name: string, test: () => Promise<void>) => Deno.test(name, test);

sourceContract(register, "memory", () => {
  const source = new MemorySource();
  return Promise.resolve({
    source,
    put: (path, bytes) => Promise.resolve(source.put(path, bytes)),
    remove: (path) => Promise.resolve(source.remove(path)),
    close: () => Promise.resolve(),
  });
});

destinationContract(register, "memory", () => {
  const destination = new MemoryDestination({
    limits: { blockBytesMax: 1_048_576, blockCountMax: 50_000, wholeBytesMax: 1_048_576 },
    checksum: (kind, bytes) => {
      assert.equal(kind, "md5");
      return new Uint8Array(createHash("md5").update(bytes).digest());
    },
  });
  return Promise.resolve({
    destination,
    download: (path) => {
      const blob = destination.blobs.get(path);
      return blob === undefined
        ? Promise.reject(new Error(`Nothing at ${path}`))
        : Promise.resolve(blob.bytes);
    },
    close: () => Promise.resolve(),
  });
});
