/** Texts of the pages of clients and of their form. */

export const clientFormPage = {
  newClient: "New client",
  clients: "Clients",
  client: "Client",
  editClient: "Edit client",
  createClient: "Create client",
  save: "Save",
  name: "Name",
  contact: "Contact",
  contactsEMail: "Contact's e-mail",
  psaCompanyId: "PSA company id",
};

export const clientPage = {
  newProject: "New project",
  client: "Client",
  clients: "Clients",
  archive: "Archive",
  makeActive: "Make active",
  delete: "Delete",
  edit: "Edit",
  contact: "Contact",
  eMail: "E-mail",
  psaCompany: "PSA company",
  clientSince: "Client since",
  projects: "Projects",
  noProjectsYet: "No projects yet",
  projectOneEngagementClient:
    "A project is one engagement for this client, with its place in a storage account.",
  deleteThisClient: "Delete this client?",
  deleteClient: "Delete client",
  keepIt: "Keep it",
  nameContactPsaCompany:
    "Its name, its contact and its PSA company are gone for good. It has no projects; agents that stand with it stay, with no client.",
};

export const clients = {
  clientDeleted: "Client deleted",
  clientArchived: "Client archived",
  clientIsActiveAgain: "Client is active again",
  giveAName: "Give a name",
  notEMailAddress: "Not an e-mail address",
};

export const clientsPage = {
  client: "Client",
  contact: "Contact",
  projects: "Projects",
  status: "Status",
  since: "Since",
  whichClients: "Which clients",
  allClients: "All clients",
  newClient: "New client",
  clients: "Clients",
  companiesYouMoveFiles: "The companies you move files for.",
  inSearch: "clients",
  noClientsYet: "No clients yet",
  clientCustomerCompanyProjects: "A client is a customer company. Its projects and jobs are kept together.",
};
