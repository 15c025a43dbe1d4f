/** Whether the blocks a destination tells of are those that were sent. */
import type { HeldBlock } from "../connectors/connector.ts";
import { isBlockAt } from "./block-id.ts";
import { blockCount, blockSize } from "./plan.ts";

export interface SentBlocks {
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
  readonly blockBytes: number;
}

/** `foreign`: none of them is ours, so only reading tells what is in them. */
export function compareBlocks(blocks: readonly HeldBlock[], sent: SentBlocks): "ours" | "foreign" | "wrong" {
  const { salt, sizeBytes, blockBytes } = sent;
  if (!blocks.some((block, at) => isBlockAt(block.id, salt, at))) return "foreign";
  if (blocks.length !== blockCount(sizeBytes, blockBytes)) return "wrong";
  const isRight = ({ id, sizeBytes: found }: HeldBlock, at: number) =>
    isBlockAt(id, salt, at) && found === blockSize(at, sizeBytes, blockBytes);
  return blocks.every(isRight) ? "ours" : "wrong";
}
