import type { Connection } from "../../schema/api.ts";
import { ChoiceField, TextAreaField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import type { App } from "../models/app.ts";
import { createConnectionForm } from "../models/connections.ts";
import { faultAt } from "../models/form.ts";
import { useMemo } from "preact/hooks";

/** Adds a connection to Azure Storage; used on a page of its own and inside the project form. */
export function ConnectionForm(props: {
  app: App;
  onSaved: (connection: Connection) => void;
  onCancel: () => void;
}) {
  const form = useMemo(() => createConnectionForm(props.app, props.onSaved), []);
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <FormFrame
      problem={form.problem.value}
      refusals={form.refusals.value}
      saving={form.saving.value}
      submitText="Add connection"
      submitTestId="save-connection"
      onSubmit={() => void form.submit()}
      onCancel={props.onCancel}
    >
      <TextField
        name="connection.name"
        label="Name"
        hint="How you will recognise it, such as the account's name."
        testId="connection-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      <ChoiceField
        name="kind"
        label="Connect by"
        value={values.kind}
        options={[
          {
            value: "connection_string",
            text: "Connection string",
            hint: "All containers of one storage account.",
            testId: "connection-kind-string",
          },
          {
            value: "container_sas",
            text: "Container SAS",
            hint: "One container only.",
            testId: "connection-kind-sas",
          },
        ]}
        onInput={(value) => form.set("kind", value)}
      />
      {values.kind === "connection_string" ? (
        <TextAreaField
          name="connectionString"
          label="Connection string"
          hint="Azure portal → storage account → Access keys. It is kept encrypted and never shown again."
          mono
          testId="connection-string"
          placeholder="DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…"
          value={values.connectionString}
          error={faultAt(errors, "connectionString")}
          onInput={(value) => form.set("connectionString", value)}
        />
      ) : (
        <TextAreaField
          name="containerSasUrl"
          label="Container SAS URL"
          hint="Azure portal → container → Shared access tokens, with read, add, create, write and list. It is kept encrypted and never shown again."
          mono
          testId="connection-sas"
          placeholder="https://account.blob.core.windows.net/container?sv=…&sig=…"
          value={values.containerSasUrl}
          error={faultAt(errors, "containerSasUrl")}
          onInput={(value) => form.set("containerSasUrl", value)}
        />
      )}
    </FormFrame>
  );
}
