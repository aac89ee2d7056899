ALTER TABLE `sturdy_dead_letter` ADD `key` text;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `decision` text;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `time_decided` integer;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `retried_op_id` blob;--> statement-breakpoint
ALTER TABLE `sturdy_op` ADD `checksum` integer;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `service_fault_count` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `resync_owed` text;