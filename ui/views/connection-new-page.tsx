import { useMemo } from "preact/hooks";
import { Button } from "../components/button.tsx";
import { Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { createSignIn } from "../models/consent.ts";
import { pathOf, type Route } from "../models/router.ts";
import { ConnectionForm } from "./connection-form.tsx";
import { connectionNewPage as texts } from "../texts/settings.ts";

const LIST: Route = { page: "settings-part", part: "storage" };

export function ConnectionNewPage({ app }: { app: App }) {
  return (
    <Page
      title={texts.connectAzureStorage}
      crumb={{ text: texts.storageConnections, href: pathOf(LIST) }}
      narrow
    >
      {app.session.rights.value.administer ? (
        <>
          <MicrosoftCard app={app} />
          <Card title={texts.connectionStringSas}>
            <ConnectionForm
              app={app}
              onSaved={(connection) => {
                app.toasts.show("success", texts.connectedTo(connection.account));
                app.router.replace(LIST);
              }}
              onCancel={() => app.router.go(LIST)}
            />
          </Card>
        </>
      ) : (
        <Notice tone="warning">{texts.onlyAdminOwnerConnects}</Notice>
      )}
    </Page>
  );
}

function MicrosoftCard({ app }: { app: App }) {
  const signIn = useMemo(() => createSignIn(app.api, (url) => location.assign(url)), []);
  const problem = signIn.problem.value;
  return (
    <Card title={texts.signMicrosoftRecommended}>
      <p class="muted">
        {texts.nothingCopyNothingExpires} <strong>{texts.storageBlobDataContributor}</strong>
        {texts.onTheStorageAccount}
      </p>
      {problem !== null && <Notice tone="danger">{problem}</Notice>}
      <div class="form-actions">
        <Button
          look="primary"
          icon="cloud"
          testId="sign-in-microsoft"
          busy={signIn.leaving.value}
          onPress={() => void signIn.begin(null)}
        >
          {signIn.leaving.value ? texts.goingToMicrosoft : texts.signInWithMicrosoft}
        </Button>
      </div>
    </Card>
  );
}
