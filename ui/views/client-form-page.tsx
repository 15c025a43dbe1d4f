import type { Client } from "../../schema/api.ts";
import { TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { createClientForm, createClientPage } from "../models/clients.ts";
import { faultAt } from "../models/form.ts";
import { pathOf } from "../models/router.ts";
import { useMemo } from "preact/hooks";
import { usePageModel } from "./use-page-model.ts";
import { clientFormPage as texts } from "../texts/clients.ts";

export function ClientNewPage({ app }: { app: App }) {
  return (
    <Page title={texts.newClient} crumb={{ text: texts.clients, href: pathOf({ page: "clients" }) }} narrow>
      <ClientForm app={app} client={null} />
    </Page>
  );
}

export function ClientEditPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createClientPage(app, id), id);
  const name = model.client.value.value?.name ?? texts.client;
  return (
    <Page title={texts.editClient} crumb={{ text: name, href: pathOf({ page: "client", id }) }} narrow>
      <Loaded remote={model.client.remote.value} onRetry={() => void model.client.reload()}>
        {(client) => <ClientForm app={app} client={client} />}
      </Loaded>
    </Page>
  );
}

function ClientForm({ app, client }: { app: App; client: Client | null }) {
  const form = useMemo(
    () =>
      createClientForm(app, {
        client,
        saved: (saved) => app.router.replace({ page: "client", id: saved.id }),
      }),
    [],
  );
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <Card>
      <FormFrame
        form={form}
        submitText={client === null ? texts.createClient : texts.save}
        submitTestId="save-client"
        onCancel={() =>
          app.router.go(client === null ? { page: "clients" } : { page: "client", id: client.id })
        }
      >
        <TextField
          name="name"
          label={texts.name}
          testId="client-name"
          value={values.name}
          error={faultAt(errors, "name")}
          onInput={(value) => form.set("name", value)}
        />
        <div class="field-pair">
          <TextField
            name="contactName"
            label={texts.contact}
            optional
            testId="client-contact-name"
            value={values.contactName}
            error={faultAt(errors, "contactName")}
            onInput={(value) => form.set("contactName", value)}
          />
          <TextField
            name="contactEmail"
            label={texts.contactsEMail}
            optional
            type="email"
            testId="client-contact-email"
            value={values.contactEmail}
            error={faultAt(errors, "contactEmail")}
            onInput={(value) => form.set("contactEmail", value)}
          />
        </div>
        <TextField
          name="psaCompanyId"
          label={texts.psaCompanyId}
          optional
          testId="client-psa"
          value={values.psaCompanyId}
          error={faultAt(errors, "psaCompanyId")}
          onInput={(value) => form.set("psaCompanyId", value)}
        />
      </FormFrame>
    </Card>
  );
}
