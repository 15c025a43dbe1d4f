CREATE TABLE `agent_keys` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`key_hash` text NOT NULL,
	`agent_id` text,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`agent_id`) REFERENCES `agents`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `agent_keys_hash` ON `agent_keys` (`key_hash`);--> statement-breakpoint
CREATE TABLE `agents` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`host` text NOT NULL,
	`os` text NOT NULL,
	`arch` text NOT NULL,
	`version` text NOT NULL,
	`label` text,
	`client_id` text,
	`status` text NOT NULL,
	`last_seen_at` integer,
	`free_disk_bytes` integer,
	`allowed_roots` text,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`client_id`) REFERENCES `clients`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `audit_log` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`at` integer NOT NULL,
	`actor_kind` text NOT NULL,
	`actor_id` text,
	`address` text,
	`action` text NOT NULL,
	`object_id` text,
	`details` text,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `clients` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`contact_name` text,
	`contact_email` text,
	`psa_company_id` text,
	`status` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`idempotency_key` text,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `clients_idempotency` ON `clients` (`org_id`,`idempotency_key`);--> statement-breakpoint
CREATE TABLE `job_failures` (
	`org_id` text NOT NULL,
	`job_id` text NOT NULL,
	`epoch` integer NOT NULL,
	`number` integer NOT NULL,
	`path` text NOT NULL,
	`code` text NOT NULL,
	`message` text NOT NULL,
	PRIMARY KEY(`org_id`, `job_id`, `epoch`, `number`),
	FOREIGN KEY (`org_id`,`job_id`) REFERENCES `jobs`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `jobs` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`project_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`name` text NOT NULL,
	`config` text NOT NULL,
	`status` text NOT NULL,
	`desired_state` text NOT NULL,
	`desired_rev` integer NOT NULL,
	`applied_rev` integer NOT NULL,
	`epoch` integer NOT NULL,
	`progress_seq` integer NOT NULL,
	`files_total` integer NOT NULL,
	`files_completed` integer NOT NULL,
	`files_failed` integer NOT NULL,
	`files_skipped` integer NOT NULL,
	`files_verified` integer NOT NULL,
	`bytes_total` integer NOT NULL,
	`bytes_completed` integer NOT NULL,
	`bytes_failed` integer NOT NULL,
	`bytes_skipped` integer NOT NULL,
	`bytes_sent` integer NOT NULL,
	`error` text,
	`report` text,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`idempotency_key` text,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`project_id`) REFERENCES `projects`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`agent_id`) REFERENCES `agents`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_idempotency` ON `jobs` (`org_id`,`idempotency_key`);--> statement-breakpoint
CREATE INDEX `jobs_project` ON `jobs` (`org_id`,`project_id`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_agent` ON `jobs` (`org_id`,`agent_id`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_status` ON `jobs` (`org_id`,`status`,`id`);--> statement-breakpoint
CREATE TABLE `organizations` (
	`org_id` text PRIMARY KEY NOT NULL,
	`issuer` text NOT NULL,
	`hub_tenant_id` text NOT NULL,
	`slug` text,
	`name` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `organizations_hub` ON `organizations` (`issuer`,`hub_tenant_id`);--> statement-breakpoint
CREATE TABLE `projects` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`client_id` text NOT NULL,
	`type` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`psa_ticket_id` text,
	`psa_project_id` text,
	`connection_id` text,
	`container` text,
	`tier` text,
	`prefix` text,
	`default_destination` text,
	`bandwidth_schedule` text,
	`cancelled_at` integer,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`idempotency_key` text,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`client_id`) REFERENCES `clients`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`connection_id`) REFERENCES `storage_connections`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `projects_idempotency` ON `projects` (`org_id`,`idempotency_key`);--> statement-breakpoint
CREATE INDEX `projects_client` ON `projects` (`org_id`,`client_id`,`id`);--> statement-breakpoint
CREATE TABLE `registration_codes` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`code_hash` text NOT NULL,
	`label` text,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	`agent_id` text,
	`revoked_at` integer,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`agent_id`) REFERENCES `agents`(`org_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `registration_codes_hash` ON `registration_codes` (`code_hash`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`token_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`,`user_id`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_token` ON `sessions` (`token_hash`);--> statement-breakpoint
CREATE TABLE `sign_in_refusals` (
	`id` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`reason` text NOT NULL,
	`jti_hash` text,
	`address` text
);
--> statement-breakpoint
CREATE TABLE `storage_connections` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`account` text NOT NULL,
	`blob_endpoint` text NOT NULL,
	`container` text,
	`sealed_secret` text NOT NULL,
	`expires_at` integer,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`idempotency_key` text,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `storage_connections_idempotency` ON `storage_connections` (`org_id`,`idempotency_key`);--> statement-breakpoint
CREATE TABLE `used_tokens` (
	`jti_hash` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `users` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`issuer` text NOT NULL,
	`hub_user_id` text NOT NULL,
	`name` text NOT NULL,
	`email` text NOT NULL,
	`role` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`) REFERENCES `organizations`(`org_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_hub` ON `users` (`org_id`,`issuer`,`hub_user_id`);