import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { pathOf } from "../models/router.ts";
import { ConnectionForm } from "./connection-form.tsx";

export function ConnectionNewPage({ app }: { app: App }) {
  return (
    <Page
      title="Connect Azure Storage"
      crumb={{ text: "Settings", href: pathOf({ page: "settings" }) }}
      narrow
    >
      <Card>
        <ConnectionForm
          app={app}
          onSaved={(connection) => {
            app.toasts.show("success", `Connected to ${connection.account}`);
            app.router.replace({ page: "settings" });
          }}
          onCancel={() => app.router.go({ page: "settings" })}
        />
      </Card>
    </Page>
  );
}
