import { useState } from "preact/hooks";
import { Button } from "./button.tsx";

/** Copies a text and says so; when the browser forbids it, says that instead. */
export function CopyButton(props: {
  text: string;
  label: string;
  copy: (text: string) => Promise<void>;
  testId?: string;
}) {
  const [said, setSaid] = useState<"" | "Copied" | "Select it and copy by hand">("");
  return (
    <span class="copy">
      <Button
        icon={said === "Copied" ? "check" : "copy"}
        testId={props.testId ?? "copy"}
        onPress={() =>
          void props.copy(props.text).then(
            () => setSaid("Copied"),
            () => setSaid("Select it and copy by hand"),
          )
        }
      >
        <span aria-live="polite">{said === "" ? props.label : said}</span>
      </Button>
    </span>
  );
}
