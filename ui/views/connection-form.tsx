import type { Connection } from "../../schema/api.ts";
import { ChoiceField, TextAreaField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import type { App } from "../models/app.ts";
import { createConnectionForm } from "../models/connections.ts";
import { faultAt } from "../models/form.ts";
import { useMemo } from "preact/hooks";
import { connectionForm as texts } from "../texts/settings.ts";

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
      form={form}
      submitText={texts.addConnection}
      submitTestId="save-connection"
      onCancel={props.onCancel}
    >
      <TextField
        name="connection.name"
        label={texts.name}
        hint={texts.howYouWillRecognise}
        testId="connection-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      <ChoiceField
        name="kind"
        label={texts.connectBy}
        value={values.kind}
        options={[
          {
            value: "connection_string",
            text: texts.connectionString,
            hint: texts.allContainersOneStorage,
            testId: "connection-kind-string",
          },
          {
            value: "container_sas",
            text: texts.containerSas,
            hint: texts.oneContainerOnly,
            testId: "connection-kind-sas",
          },
        ]}
        onInput={(value) => form.set("kind", value)}
      />
      {values.kind === "connection_string" ? (
        <TextAreaField
          name="connectionString"
          label={texts.connectionString}
          hint={texts.azurePortalStorageAccount}
          mono
          testId="connection-string"
          placeholder={texts.defaultendpointsprotocolHttpsAccountnameAccountkey}
          value={values.connectionString}
          error={faultAt(errors, "connectionString")}
          onInput={(value) => form.set("connectionString", value)}
        />
      ) : (
        <TextAreaField
          name="containerSasUrl"
          label={texts.containerSasUrl}
          hint={texts.azurePortalContainerShared}
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
