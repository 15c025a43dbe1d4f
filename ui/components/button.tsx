import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";

export type ButtonLook = "primary" | "plain" | "danger" | "quiet";

interface LookProps {
  look?: ButtonLook;
  icon?: IconName;
  testId?: string;
  children: ComponentChildren;
}

export function Button(
  props: LookProps & { onPress?: () => void; type?: "button" | "submit"; disabled?: boolean; busy?: boolean },
) {
  return (
    <button
      type={props.type ?? "button"}
      class={`button button-${props.look ?? "plain"}`}
      data-testid={props.testId}
      disabled={props.disabled === true || props.busy === true}
      aria-busy={props.busy === true}
      onClick={() => props.onPress?.()}
    >
      {props.icon && <Icon name={props.icon} size={16} />}
      {props.children}
    </button>
  );
}

/** A link that looks like a button, for what opens a page or is taken along as a file. */
export function LinkButton(props: LookProps & { href: string; download?: boolean }) {
  return (
    <a
      class={`button button-${props.look ?? "plain"}`}
      href={props.href}
      download={props.download}
      data-testid={props.testId}
    >
      {props.icon && <Icon name={props.icon} size={16} />}
      {props.children}
    </a>
  );
}
