ALTER TABLE `sturdy_stream` ADD `protocol` text;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `remote_id` text;--> statement-breakpoint
ALTER TABLE `sturdy_stream` ADD `remote_secret` text;