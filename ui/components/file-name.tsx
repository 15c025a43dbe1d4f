import { splitActing } from "../plain-text.ts";
import { fileName as texts } from "../texts/frame.ts";

/** A name from somebody's disk: as text, isolated from the direction of what is around it, acting characters written out. */
export function FileName({ name }: { name: string }) {
  return (
    <bdi class="file-name">
      {splitActing(name).map((part, index) =>
        part.escaped ? (
          <code key={index} class="escaped" title={texts.characterCannotSeen}>
            {part.text}
          </code>
        ) : (
          part.text
        ),
      )}
    </bdi>
  );
}
