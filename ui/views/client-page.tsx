import { useState } from "preact/hooks";
import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Facts } from "../components/figures.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createClientPage } from "../models/clients.ts";
import { pathOf } from "../models/router.ts";
import { CLIENT_STATUS_WORDS } from "../words.ts";
import { ProjectTable } from "./project-table.tsx";
import { UsageCard } from "./usage-card.tsx";
import { usePageModel } from "./use-page-model.ts";
import { clientPage as texts } from "../texts/clients.ts";

export function ClientPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(
    () => createClientPage(app, id, () => app.router.replace({ page: "clients" })),
    id,
  );
  const [isDeleting, setDeleting] = useState(false);
  const client = model.client.value.value;
  const mayWrite = app.session.rights.value.write;
  const newProject = mayWrite && client?.status === "active" && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "project-new", clientId: id })}
      testId="new-project"
    >
      {texts.newProject}
    </LinkButton>
  );
  return (
    <Page
      title={client?.name ?? texts.client}
      crumb={{ text: texts.clients, href: pathOf({ page: "clients" }) }}
      badge={client && <Badge words={CLIENT_STATUS_WORDS[client.status]} />}
      actions={
        client &&
        mayWrite && (
          <>
            <Button
              testId="archive-client"
              onPress={() => void model.setStatus(client.status === "active" ? "archived" : "active")}
            >
              {client.status === "active" ? texts.archive : texts.makeActive}
            </Button>
            {/* What was done for a client stays told, so only one without projects can go. */}
            {app.session.rights.value.administer && client.projectCount === 0 && (
              <Button testId="delete-client" onPress={() => setDeleting(true)}>
                {texts.delete}
              </Button>
            )}
            <LinkButton href={pathOf({ page: "client-edit", id })} testId="edit-client">
              {texts.edit}
            </LinkButton>
            {newProject}
          </>
        )
      }
    >
      <Loaded remote={model.client.remote.value} onRetry={() => void model.client.reload()}>
        {(value) => (
          <>
            <Card>
              <Facts
                facts={[
                  { title: texts.contact, value: value.contactName ?? NOTHING },
                  { title: texts.eMail, value: value.contactEmail ?? NOTHING },
                  { title: texts.psaCompany, value: value.psaCompanyId ?? NOTHING },
                  { title: texts.clientSince, value: formatDate(value.createdAt) },
                ]}
              />
            </Card>
            <UsageCard usage={model.usage.value.value} path={`/api/clients/${encodeURIComponent(id)}`} />
            <Card title={texts.projects} flush>
              <Loaded remote={model.projects.remote.value} onRetry={() => void model.projects.reload()}>
                {(projects) =>
                  projects.length === 0 ? (
                    <EmptyState icon="project" title={texts.noProjectsYet} action={newProject}>
                      {texts.projectOneEngagementClient}
                    </EmptyState>
                  ) : (
                    <ProjectTable projects={projects} within="client" />
                  )
                }
              </Loaded>
              <MoreButton
                hasMore={model.projects.hasMore.value}
                busy={model.projects.loadingMore.value}
                onMore={() => void model.projects.more()}
              />
            </Card>
          </>
        )}
      </Loaded>
      {isDeleting && client !== null && (
        <ConfirmDialog
          title={texts.deleteThisClient}
          confirmText={texts.deleteClient}
          cancelText={texts.keepIt}
          confirmTestId="confirm-delete-client"
          typedName={client.name}
          onConfirm={() => void model.remove()}
          onClose={() => setDeleting(false)}
        >
          {texts.nameContactPsaCompany}
        </ConfirmDialog>
      )}
    </Page>
  );
}
