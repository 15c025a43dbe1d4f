/** Form fields: a label, the control, a hint, and what is wrong. `name` is the dotted path the server uses for it. */
import type { ComponentChildren } from "preact";
import { field as texts } from "../texts/components.ts";

interface FieldProps {
  name: string;
  label: string;
  hint?: ComponentChildren;
  error?: string | null;
  optional?: boolean;
  testId?: string;
}

function Field(props: FieldProps & { children: ComponentChildren }) {
  return (
    <div class={props.error ? "field field-wrong" : "field"}>
      <label for={idOf(props.name)}>
        {props.label}
        {props.optional === true && <span class="optional">{texts.optional}</span>}
      </label>
      {props.children}
      {props.error ? (
        <p class="field-error" id={`${idOf(props.name)}-note`}>
          {props.error}
        </p>
      ) : (
        props.hint !== undefined && (
          <p class="field-hint" id={`${idOf(props.name)}-note`}>
            {props.hint}
          </p>
        )
      )}
    </div>
  );
}

export function TextField(
  props: FieldProps & {
    value: string;
    onInput: (value: string) => void;
    placeholder?: string;
    /** Offered while typing; anything else may be typed all the same. */
    suggestions?: readonly string[];
    type?: "text" | "email" | "date" | "time" | "number";
    inputMode?: "numeric" | "decimal";
    min?: number;
    max?: number;
    unit?: string;
    mono?: boolean;
    disabled?: boolean;
  },
) {
  // Preact's types tell inputs apart by `type`; these are alike in all that is used here.
  const kind = { type: props.type ?? "text" } as { readonly type: "text" };
  const input = (
    <input
      {...controlProps(props)}
      class={props.mono === true ? "input mono" : "input"}
      {...kind}
      inputMode={props.inputMode}
      min={props.min}
      max={props.max}
      value={props.value}
      placeholder={props.placeholder}
      disabled={props.disabled === true}
      list={props.suggestions === undefined ? undefined : `${idOf(props.name)}-list`}
      autocomplete="off"
      spellcheck={false}
      onInput={(event) => props.onInput(event.currentTarget.value)}
    />
  );
  return (
    <Field {...props}>
      {props.suggestions !== undefined && (
        <datalist id={`${idOf(props.name)}-list`}>
          {props.suggestions.map((text) => (
            <option key={text} value={text} />
          ))}
        </datalist>
      )}
      {props.unit === undefined ? (
        input
      ) : (
        <span class="input-unit">
          {input}
          <span aria-hidden="true">{props.unit}</span>
        </span>
      )}
    </Field>
  );
}

export function TextAreaField(
  props: FieldProps & {
    value: string;
    onInput: (value: string) => void;
    rows?: number;
    placeholder?: string;
    mono?: boolean;
  },
) {
  return (
    <Field {...props}>
      <textarea
        {...controlProps(props)}
        class={props.mono === true ? "input mono" : "input"}
        rows={props.rows ?? 3}
        value={props.value}
        placeholder={props.placeholder}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
    </Field>
  );
}

export interface Option<Value extends string> {
  readonly value: Value;
  readonly text: string;
}

export function SelectField<Value extends string>(
  props: FieldProps & {
    value: Value | "";
    options: readonly Option<Value>[];
    /** The line that stands there until something is chosen. */
    placeholder?: string;
    disabled?: boolean;
    onInput: (value: Value) => void;
  },
) {
  return (
    <Field {...props}>
      <span class="select">
        <select
          {...controlProps(props)}
          class="input"
          value={props.value}
          disabled={props.disabled === true}
          onInput={(event) => {
            const chosen = props.options.find((option) => option.value === event.currentTarget.value);
            if (chosen !== undefined) props.onInput(chosen.value);
          }}
        >
          {props.placeholder !== undefined && (
            <option value="" disabled>
              {props.placeholder}
            </option>
          )}
          {props.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.text}
            </option>
          ))}
        </select>
      </span>
    </Field>
  );
}

export function CheckField(props: {
  name: string;
  label: string;
  hint?: ComponentChildren;
  checked: boolean;
  disabled?: boolean;
  testId?: string;
  onInput: (checked: boolean) => void;
}) {
  return (
    <label class={props.disabled === true ? "check check-off" : "check"}>
      <input
        type="checkbox"
        id={idOf(props.name)}
        checked={props.checked}
        disabled={props.disabled === true}
        data-testid={props.testId}
        onChange={(event) => props.onInput(event.currentTarget.checked)}
      />
      <span>
        {props.label}
        {props.hint !== undefined && <span class="field-hint">{props.hint}</span>}
      </span>
    </label>
  );
}

/** A few choices that are all shown. */
export function ChoiceField<Value extends string>(props: {
  name: string;
  label: string;
  value: Value;
  options: readonly (Option<Value> & { hint?: string; testId?: string })[];
  onInput: (value: Value) => void;
}) {
  return (
    <fieldset class="choices">
      <legend>{props.label}</legend>
      {props.options.map((option) => (
        <label key={option.value} class={option.value === props.value ? "choice choice-on" : "choice"}>
          <input
            type="radio"
            name={props.name}
            value={option.value}
            checked={option.value === props.value}
            data-testid={option.testId}
            onChange={() => props.onInput(option.value)}
          />
          <span>
            {option.text}
            {option.hint !== undefined && <span class="field-hint">{option.hint}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function controlProps(props: FieldProps) {
  const described = Boolean(props.error) || props.hint !== undefined;
  return {
    id: idOf(props.name),
    name: props.name,
    "data-testid": props.testId,
    "aria-invalid": Boolean(props.error),
    "aria-describedby": described ? `${idOf(props.name)}-note` : undefined,
  };
}

function idOf(name: string): string {
  return `field-${name.replaceAll(".", "-")}`;
}
