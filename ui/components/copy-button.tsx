import { useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { copyButton as texts } from "../texts/components.ts";

/** Copies a text and says so; when the browser forbids it, says that instead. */
export function CopyButton(props: {
  text: string;
  label: string;
  copy: (text: string) => Promise<void>;
  testId?: string;
}) {
  const [said, setSaid] = useState<"nothing" | "copied" | "by_hand">("nothing");
  return (
    <span class="copy">
      <Button
        icon={said === "copied" ? "check" : "copy"}
        testId={props.testId ?? "copy"}
        onPress={() =>
          void props.copy(props.text).then(
            () => setSaid("copied"),
            () => setSaid("by_hand"),
          )
        }
      >
        <span aria-live="polite">{wordsFor(said) ?? props.label}</span>
      </Button>
    </span>
  );
}

function wordsFor(said: "nothing" | "copied" | "by_hand"): string | null {
  switch (said) {
    case "nothing":
      return null;
    case "copied":
      return texts.copied;
    case "by_hand":
      return texts.selectCopyHand;
  }
}
