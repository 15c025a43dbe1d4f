DROP INDEX `jobs_project`;--> statement-breakpoint
DROP INDEX `jobs_agent`;--> statement-breakpoint
DROP INDEX `jobs_status`;--> statement-breakpoint
ALTER TABLE `jobs` ADD `name_key` text GENERATED ALWAYS AS (lower("name")) VIRTUAL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `destination` text GENERATED ALWAYS AS (case when json_valid("config") then json_extract("config", '$.destination.account') || '/' || json_extract("config", '$.destination.container') || '/' || case json_extract("config", '$.destination.prefix') when '' then '' else json_extract("config", '$.destination.prefix') || '/' end end) VIRTUAL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `only_failed_of` integer;--> statement-breakpoint
CREATE INDEX `jobs_created` ON `jobs` (`org_id`,`id`,`status`,`name_key`);--> statement-breakpoint
CREATE INDEX `jobs_name` ON `jobs` (`org_id`,`name_key`,`id`,`status`);--> statement-breakpoint
CREATE INDEX `jobs_activity` ON `jobs` (`org_id`,`updated_at`,`id`,`status`,`name_key`,`bytes_completed`,`files_completed`);--> statement-breakpoint
CREATE INDEX `jobs_destination` ON `jobs` (`org_id`,`destination`,`status`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_unconfirmed` ON `jobs` (`updated_at`) WHERE "desired_rev" > "applied_rev" and "report" is null;--> statement-breakpoint
CREATE INDEX `jobs_project` ON `jobs` (`org_id`,`project_id`,`status`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `jobs_agent` ON `jobs` (`org_id`,`agent_id`,`status`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `jobs_status` ON `jobs` (`org_id`,`status`,`id`,`name_key`);--> statement-breakpoint
DROP INDEX `projects_client`;--> statement-breakpoint
ALTER TABLE `projects` ADD `name_key` text GENERATED ALWAYS AS (lower("name")) VIRTUAL;--> statement-breakpoint
CREATE INDEX `projects_created` ON `projects` (`org_id`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `projects_name` ON `projects` (`org_id`,`name_key`,`id`);--> statement-breakpoint
CREATE INDEX `projects_activity` ON `projects` (`org_id`,`updated_at`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `projects_status` ON `projects` (`org_id`,`id`,`cancelled_at`,`connection_id`,`name_key`,`client_id`);--> statement-breakpoint
CREATE INDEX `projects_connection` ON `projects` (`org_id`,`connection_id`,`id`);--> statement-breakpoint
CREATE INDEX `projects_client` ON `projects` (`org_id`,`client_id`,`id`,`name_key`);--> statement-breakpoint
ALTER TABLE `agents` ADD `name_key` text GENERATED ALWAYS AS (lower("name")) VIRTUAL;--> statement-breakpoint
ALTER TABLE `agents` ADD `active_at` integer GENERATED ALWAYS AS (coalesce("last_seen_at", "created_at")) VIRTUAL;--> statement-breakpoint
CREATE INDEX `agents_created` ON `agents` (`org_id`,`id`,`status`,`name_key`);--> statement-breakpoint
CREATE INDEX `agents_name` ON `agents` (`org_id`,`name_key`,`id`,`status`);--> statement-breakpoint
CREATE INDEX `agents_activity` ON `agents` (`org_id`,`active_at`,`id`,`status`,`name_key`);--> statement-breakpoint
CREATE INDEX `agents_status` ON `agents` (`org_id`,`status`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `agents_client` ON `agents` (`org_id`,`client_id`,`id`);--> statement-breakpoint
CREATE INDEX `agents_online` ON `agents` (`last_seen_at`) WHERE "status" = 'online';--> statement-breakpoint
ALTER TABLE `clients` ADD `name_key` text GENERATED ALWAYS AS (lower("name")) VIRTUAL;--> statement-breakpoint
CREATE INDEX `clients_created` ON `clients` (`org_id`,`id`,`status`,`name_key`);--> statement-breakpoint
CREATE INDEX `clients_name` ON `clients` (`org_id`,`name_key`,`id`,`status`);--> statement-breakpoint
CREATE INDEX `clients_activity` ON `clients` (`org_id`,`updated_at`,`id`,`status`,`name_key`);--> statement-breakpoint
CREATE INDEX `clients_status` ON `clients` (`org_id`,`status`,`id`,`name_key`);--> statement-breakpoint
CREATE INDEX `agent_keys_agent` ON `agent_keys` (`org_id`,`agent_id`);--> statement-breakpoint
CREATE INDEX `oauth_states_made` ON `oauth_states` (`id`);--> statement-breakpoint
CREATE INDEX `registration_codes_agent` ON `registration_codes` (`org_id`,`agent_id`);--> statement-breakpoint
CREATE INDEX `used_tokens_expiry` ON `used_tokens` (`expires_at`);