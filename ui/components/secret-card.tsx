import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button.tsx";
import { CopyButton } from "./copy-button.tsx";
import { Notice } from "./loaded.tsx";
import { secretCard as texts } from "../texts/settings.ts";

/** A secret that is shown only now. It stands in the page and in no dialog, so that no stray key takes it away. */
export function SecretCard(props: {
  title: string;
  label: string;
  secret: string;
  testId: string;
  copy: (text: string) => Promise<void>;
  onKept: () => void;
  children: ComponentChildren;
}) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return (
    <section class="card secret">
      <h2 ref={head} tabIndex={-1}>
        {props.title}
      </h2>
      <Notice tone="warning">{texts.shownOnlyOnceCopy}</Notice>
      <output class="command" aria-label={props.label} data-testid={props.testId} tabIndex={0}>
        {props.secret}
      </output>
      <p class="muted">{props.children}</p>
      <div class="form-actions">
        <CopyButton
          text={props.secret}
          label={texts.copy}
          copy={props.copy}
          testId={`copy-${props.testId}`}
        />
        <Button testId={`kept-${props.testId}`} onPress={props.onKept}>
          {texts.iHaveKeptIt}
        </Button>
      </div>
    </section>
  );
}
