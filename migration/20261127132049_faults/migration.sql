ALTER TABLE `sturdy_dead_letter` ADD `key` text;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `decision` text;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `time_decided` integer;--> statement-breakpoint
ALTER TABLE `sturdy_dead_letter` ADD `retried_op_id` blob;--> statement-breakpoint
ALTER TABLE `sturdy_op` ADD `checksum` integer;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `service_fault_count` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `resync_owed` text;--> statement-breakpoint
CREATE INDEX `sturdy_dead_letter_op_id_idx` ON `sturdy_dead_letter` (`op_id`);--> statement-breakpoint
CREATE INDEX `sturdy_dead_letter_decision_idx` ON `sturdy_dead_letter` (`decision`);--> statement-breakpoint
CREATE INDEX `sturdy_dead_letter_retried_op_id_idx` ON `sturdy_dead_letter` (`retried_op_id`) WHERE retried_op_id is not null;--> statement-breakpoint
CREATE INDEX `sturdy_dead_letter_hanging_idx` ON `sturdy_dead_letter` (`seq`,`op_id`,json_extract(op, '$.depends_on')) WHERE decision is null and json_extract(op, '$.depends_on') <> '[]';