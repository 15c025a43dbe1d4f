ALTER TABLE `jobs` ADD `files_read_back` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `files_deleted` integer DEFAULT 0 NOT NULL;