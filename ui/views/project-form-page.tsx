import { useState } from "preact/hooks";
import type { Connection, Project } from "../../schema/api.ts";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { SelectField, TextAreaField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { ACCESS_TIERS, OFFERED_PROJECT_TYPES } from "../contract.ts";
import type { App } from "../models/app.ts";
import { faultAt } from "../models/form.ts";
import { createProjectForm, type ProjectFormModel } from "../models/project-form.ts";
import { createProjectPage } from "../models/projects.ts";
import { pathOf } from "../models/router.ts";
import { PROJECT_TYPE_WORDS, TIER_WORDS } from "../words.ts";
import { ConnectionForm } from "./connection-form.tsx";
import { ScheduleFields } from "./schedule-fields.tsx";
import { usePageModel } from "./use-page-model.ts";
import { projectFormPage as texts } from "../texts/projects.ts";

export function ProjectNewPage({ app, clientId }: { app: App; clientId: string | null }) {
  return (
    <Page
      title={texts.newProject}
      crumb={{ text: texts.projects, href: pathOf({ page: "projects" }) }}
      narrow
    >
      <ProjectForm app={app} project={null} clientId={clientId} />
    </Page>
  );
}

export function ProjectEditPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createProjectPage(app, id), id);
  const name = model.project.value.value?.name ?? texts.project;
  return (
    <Page title={texts.editProject} crumb={{ text: name, href: pathOf({ page: "project", id }) }} narrow>
      <Loaded remote={model.project.remote.value} onRetry={() => void model.project.reload()}>
        {(project) => <ProjectForm app={app} project={project} clientId={null} />}
      </Loaded>
    </Page>
  );
}

function ProjectForm(props: { app: App; project: Project | null; clientId: string | null }) {
  const { app, project, clientId } = props;
  const model = usePageModel(() =>
    createProjectForm(app, {
      project,
      clientId,
      saved: (saved) => app.router.replace({ page: "project", id: saved.id }),
    }),
  );
  const [addsConnection, setAddsConnection] = useState(false);
  const { form } = model;
  return (
    <>
      <Loaded remote={model.choices.value} onRetry={model.open}>
        {() => (
          <FormFrame
            form={form}
            submitText={project === null ? texts.createProject : texts.save}
            submitTestId="save-project"
            onCancel={() =>
              app.router.go(project === null ? { page: "projects" } : { page: "project", id: project.id })
            }
          >
            <ProjectFields model={model} isNew={project === null} />
            <StorageFields
              model={model}
              mayAdd={app.session.rights.value.administer}
              onAddConnection={() => setAddsConnection(true)}
            />
            <ScheduleFields model={model} />
          </FormFrame>
        )}
      </Loaded>
      {/* Outside the form: a form inside a form is not one. */}
      {addsConnection && (
        <Dialog
          title={texts.connectAzureStorage}
          testId="connection-dialog"
          onClose={() => setAddsConnection(false)}
        >
          <ConnectionForm
            app={app}
            onSaved={(connection) => {
              setAddsConnection(false);
              model.addConnection(connection);
            }}
            onCancel={() => setAddsConnection(false)}
          />
        </Dialog>
      )}
    </>
  );
}

function ProjectFields({ model, isNew }: { model: ProjectFormModel; isNew: boolean }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <Card>
      {isNew && model.clients.value.length === 0 && (
        <Notice tone="warning">
          {texts.noClient.before}
          <a href={pathOf({ page: "client-new" })}>{texts.noClient.link}</a>
          {texts.noClient.after}
        </Notice>
      )}
      <TextField
        name="name"
        label={texts.name}
        testId="project-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      {isNew && (
        <div class="field-pair">
          <SelectField
            name="clientId"
            label={texts.client}
            placeholder={texts.chooseAClient}
            testId="project-client"
            value={values.clientId}
            options={model.clients.value.map((client) => ({ value: client.id, text: client.name }))}
            error={faultAt(errors, "clientId")}
            onInput={(value) => form.set("clientId", value)}
          />
          <SelectField
            name="type"
            label={texts.type}
            testId="project-type"
            value={values.type}
            options={OFFERED_PROJECT_TYPES.map((type) => ({ value: type, text: PROJECT_TYPE_WORDS[type] }))}
            error={faultAt(errors, "type")}
            onInput={(value) => form.set("type", value)}
          />
        </div>
      )}
      <TextAreaField
        name="description"
        label={texts.description}
        optional
        rows={2}
        testId="project-description"
        value={values.description}
        error={faultAt(errors, "description")}
        onInput={(value) => form.set("description", value)}
      />
      <div class="field-pair">
        <TextField
          name="psaTicketId"
          label={texts.psaTicketId}
          optional
          testId="project-psa-ticket"
          value={values.psaTicketId}
          error={faultAt(errors, "psaTicketId")}
          onInput={(value) => form.set("psaTicketId", value)}
        />
        <TextField
          name="psaProjectId"
          label={texts.psaProjectId}
          optional
          testId="project-psa-project"
          value={values.psaProjectId}
          error={faultAt(errors, "psaProjectId")}
          onInput={(value) => form.set("psaProjectId", value)}
        />
      </div>
    </Card>
  );
}

function StorageFields(props: { model: ProjectFormModel; mayAdd: boolean; onAddConnection: () => void }) {
  const { model } = props;
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const connections = model.connections.value;
  return (
    <Card
      title={texts.azureStorage}
      actions={
        props.mayAdd && (
          <Button icon="plus" testId="connection-add" onPress={props.onAddConnection}>
            {texts.addConnection}
          </Button>
        )
      }
    >
      {connections.length === 0 && !props.mayAdd && (
        <Notice tone="warning">{texts.thereNoConnectionAzure}</Notice>
      )}
      <SelectField
        name="storage.connectionId"
        label={texts.connection}
        placeholder={connections.length === 0 ? texts.noConnectionYet : texts.chooseAConnection}
        testId="connection-select"
        value={values.connectionId}
        options={connections.map(toOption)}
        error={faultAt(errors, "storage.connectionId")}
        onInput={model.chooseConnection}
      />
      {model.connection.value !== null && <ContainerFields model={model} mayAdd={props.mayAdd} />}
      <div class="field-pair">
        <SelectField
          name="storage.tier"
          label={texts.tier}
          testId="project-tier"
          value={values.tier}
          options={ACCESS_TIERS.map((tier) => ({ value: tier, text: TIER_WORDS[tier] }))}
          error={faultAt(errors, "storage.tier")}
          onInput={(value) => form.set("tier", value)}
        />
        <TextField
          name="storage.prefix"
          label={texts.folderInTheContainer}
          optional
          placeholder="acme-corp/files"
          testId="project-prefix"
          value={values.prefix}
          error={faultAt(errors, "storage.prefix")}
          onInput={(value) => form.set("prefix", value)}
        />
      </div>
    </Card>
  );
}

function ContainerFields({ model, mayAdd }: { model: ProjectFormModel; mayAdd: boolean }) {
  const { form } = model;
  const values = form.values.value;
  const error = faultAt(form.errors.value, "storage.container");
  const containers = model.containers.value;
  if (model.connection.value?.container !== null) {
    return (
      <TextField
        name="storage.container"
        label={texts.container}
        hint={texts.oneContainerConnectionOpens}
        value={values.container}
        disabled
        testId="container-name"
        error={error}
        onInput={() => {}}
      />
    );
  }
  if (containers.state === "failed") {
    return (
      <>
        <Notice tone="danger">
          {texts.containersNotListed(containers.problem)}{" "}
          <button type="button" class="text-button" onClick={model.reloadContainers}>
            {texts.tryAgain}
          </button>
        </Notice>
      </>
    );
  }
  if (values.containerIsNew && mayAdd) {
    return (
      <div class="field-with-action">
        <TextField
          name="storage.container"
          label={texts.newContainer}
          hint={texts.madeStorageAccountWhen}
          placeholder="acme-files"
          testId="container-name"
          value={values.container}
          error={error}
          onInput={(value) => form.set("container", value)}
        />
        {containers.state === "ready" && containers.names.length > 0 && (
          <Button
            look="quiet"
            testId="container-pick"
            onPress={() => {
              form.set("containerIsNew", false);
              form.set("container", "");
            }}
          >
            {texts.pickFromTheList}
          </Button>
        )}
      </div>
    );
  }
  const names = containers.state === "ready" ? containers.names : [];
  // The container of a project being edited stays offered, also when the list does not hold it any more.
  const offered =
    values.container === "" || names.includes(values.container) ? names : [values.container, ...names];
  return (
    <div class="field-with-action">
      <SelectField
        name="storage.container"
        label={texts.container}
        placeholder={containers.state === "loading" ? texts.listingContainers : texts.chooseAContainer}
        disabled={containers.state === "loading"}
        testId="container-select"
        value={values.container}
        options={offered.map((name) => ({ value: name, text: name }))}
        error={error}
        onInput={(value) => form.set("container", value)}
      />
      {mayAdd && (
        <Button
          look="quiet"
          icon="plus"
          testId="container-new"
          onPress={() => {
            form.set("containerIsNew", true);
            form.set("container", "");
          }}
        >
          {texts.newContainer}
        </Button>
      )}
    </div>
  );
}

function toOption(connection: Connection) {
  const where =
    connection.container === null ? connection.account : `${connection.account} / ${connection.container}`;
  return { value: connection.id, text: connection.name === where ? where : `${connection.name} (${where})` };
}
