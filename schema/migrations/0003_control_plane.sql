CREATE TABLE `api_keys` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`key_hash` text NOT NULL,
	`role` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`last_used_at` integer,
	`revoked_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_hash` ON `api_keys` (`key_hash`);--> statement-breakpoint
CREATE TABLE `job_usage` (
	`org_id` text NOT NULL,
	`job_id` text NOT NULL,
	`epoch` integer NOT NULL,
	`day` text NOT NULL,
	`bytes_sent` integer NOT NULL,
	`files_completed` integer NOT NULL,
	PRIMARY KEY(`org_id`, `job_id`, `epoch`, `day`),
	FOREIGN KEY (`org_id`,`job_id`) REFERENCES `jobs`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `job_usage_day` ON `job_usage` (`org_id`,`day`);--> statement-breakpoint
CREATE TABLE `manifests` (
	`org_id` text NOT NULL,
	`job_id` text NOT NULL,
	`epoch` integer NOT NULL,
	`object_key` text NOT NULL,
	`sha256` text NOT NULL,
	`size_bytes` integer NOT NULL,
	`rows` integer NOT NULL,
	`stored_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `job_id`, `epoch`),
	FOREIGN KEY (`org_id`,`job_id`) REFERENCES `jobs`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `oauth_states` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`state_hash` text NOT NULL,
	`session_id` text NOT NULL,
	`connection_id` text,
	`sealed_verifier` text NOT NULL,
	`sealed_tokens` text,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`,`session_id`) REFERENCES `sessions`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `oauth_states_state` ON `oauth_states` (`state_hash`);--> statement-breakpoint
CREATE TABLE `outbox` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`target` text,
	`payload` text NOT NULL,
	`created_at` integer NOT NULL,
	`attempts` integer NOT NULL,
	`due_at` integer,
	`sent_at` integer,
	`given_up_at` integer,
	`last_error` text,
	PRIMARY KEY(`org_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `outbox_key` ON `outbox` (`org_id`,`kind`,`key`);--> statement-breakpoint
CREATE INDEX `outbox_due` ON `outbox` (`due_at`);--> statement-breakpoint
CREATE TABLE `webhooks` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`events` text NOT NULL,
	`sealed_secret` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`disabled_at` integer,
	PRIMARY KEY(`org_id`, `id`),
	FOREIGN KEY (`org_id`,`created_by`) REFERENCES `users`(`org_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
ALTER TABLE `audit_log` ADD `number` integer;--> statement-breakpoint
ALTER TABLE `audit_log` ADD `hash` text;--> statement-breakpoint
CREATE UNIQUE INDEX `audit_log_number` ON `audit_log` (`org_id`,`number`);--> statement-breakpoint
ALTER TABLE `jobs` ADD `start_at` integer;--> statement-breakpoint
ALTER TABLE `sessions` ADD `address` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `user_agent` text;--> statement-breakpoint
CREATE INDEX `sessions_user` ON `sessions` (`org_id`,`user_id`,`id`);--> statement-breakpoint
ALTER TABLE `storage_connections` ADD `tenant_id` text;--> statement-breakpoint
ALTER TABLE `storage_connections` ADD `principal` text;--> statement-breakpoint
ALTER TABLE `storage_connections` ADD `hierarchical` integer;--> statement-breakpoint
ALTER TABLE `storage_connections` ADD `refused_at` integer;--> statement-breakpoint
ALTER TABLE `storage_connections` ADD `refreshed_at` integer;