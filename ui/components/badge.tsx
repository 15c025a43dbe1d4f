import type { Worded } from "../words.ts";

export function Badge({ words, testId }: { words: Worded; testId?: string }) {
  return (
    <span class={`badge badge-${words.tone}`} data-testid={testId}>
      {words.text}
    </span>
  );
}

/** A dot and a word: a state that is looked at in passing, not read. */
export function StateDot({ words, testId }: { words: Worded; testId?: string }) {
  return (
    <span class={`state-dot state-dot-${words.tone}`} data-testid={testId}>
      {words.text}
    </span>
  );
}
