CREATE TABLE `sturdy_batch` (
	`first_seq` integer PRIMARY KEY,
	`last_seq` integer NOT NULL,
	`batch_id` text NOT NULL,
	`op_count` integer NOT NULL,
	`bytes` integer NOT NULL,
	`time_frozen` integer NOT NULL,
	`time_settled` integer
);
--> statement-breakpoint
CREATE TABLE `sturdy_bookmark` (
	`source` text PRIMARY KEY,
	`place` integer NOT NULL,
	`mark` text,
	`time_updated` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_capture` (
	`stream_id` integer NOT NULL,
	`capture_id` text NOT NULL,
	`op_id` blob,
	CONSTRAINT `sturdy_capture_pk` PRIMARY KEY(`stream_id`, `capture_id`)
);
--> statement-breakpoint
CREATE TABLE `sturdy_dead_letter` (
	`seq` integer PRIMARY KEY,
	`op_id` blob NOT NULL,
	`code` text NOT NULL,
	`message` text NOT NULL,
	`op` text NOT NULL,
	`time_created` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_item` (
	`stream_id` integer NOT NULL,
	`key` text NOT NULL,
	`first_op_id` blob NOT NULL,
	`op_id` blob NOT NULL,
	`content_hash` blob NOT NULL,
	CONSTRAINT `sturdy_item_pk` PRIMARY KEY(`stream_id`, `key`)
);
--> statement-breakpoint
CREATE TABLE `sturdy_lease` (
	`id` integer PRIMARY KEY,
	`term` integer NOT NULL,
	`owner` text NOT NULL,
	`host` text NOT NULL,
	`boot_id` text NOT NULL,
	`pid` integer NOT NULL,
	`pid_started` text NOT NULL,
	`time_expires` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_meta` (
	`id` integer PRIMARY KEY,
	`outbox_id` text NOT NULL,
	`version` integer NOT NULL,
	`compatible_version` integer NOT NULL,
	`time_created` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_op` (
	`seq` integer PRIMARY KEY,
	`op_id` blob NOT NULL,
	`time_created` integer NOT NULL,
	`continues` integer,
	`want_result` integer,
	`schema_version` integer,
	`depends_on` blob,
	`supersedes` blob,
	`key` text,
	`target` text,
	`actor_id` text,
	`method` text NOT NULL,
	`args` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_result` (
	`seq` integer PRIMARY KEY,
	`result` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_stream` (
	`stream_id` integer PRIMARY KEY,
	`name` text NOT NULL UNIQUE,
	`service` text NOT NULL,
	`share_id` text NOT NULL,
	`secret` text NOT NULL,
	`writer_id` text NOT NULL,
	`session_id` text,
	`granted` integer DEFAULT 0 NOT NULL,
	`probing` integer DEFAULT 0 NOT NULL,
	`service_id` text,
	`epoch` integer,
	`url` text,
	`batch_ops_max` integer,
	`batch_bytes_max` integer,
	`op_bytes_max` integer,
	`cursor` integer NOT NULL,
	`frozen_seq` integer NOT NULL,
	`gap_count` integer DEFAULT 0 NOT NULL,
	`base_cursor` integer DEFAULT 0 NOT NULL,
	`base_head_op_id` text,
	`settled_op_id` text,
	`pruned_seq` integer NOT NULL,
	`pruned_op_id` text,
	`retained_ops` integer DEFAULT 0 NOT NULL,
	`retained_bytes` integer DEFAULT 0 NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`next_attempt_at` integer,
	`last_error` text,
	`block` text,
	`block_message` text,
	`time_blocked` integer,
	`time_removal` integer,
	`time_closed` integer,
	`repeat_removal` integer DEFAULT 0 NOT NULL,
	`post_count` integer DEFAULT 0 NOT NULL,
	`batch_count` integer DEFAULT 0 NOT NULL,
	`dead_count` integer DEFAULT 0 NOT NULL,
	`superseded_count` integer DEFAULT 0 NOT NULL,
	`twin_count` integer DEFAULT 0 NOT NULL,
	`reset_count` integer DEFAULT 0 NOT NULL,
	`time_created` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sturdy_superseded` (
	`seq` integer PRIMARY KEY,
	`op_id` blob NOT NULL,
	`by_op_id` blob
);
--> statement-breakpoint
CREATE INDEX `sturdy_superseded_op_id_idx` ON `sturdy_superseded` (`op_id`);--> statement-breakpoint
CREATE VIEW `op_state` AS select substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((instr('0123456789ABCDEF', substr(hex(op.op_id), 1, 1)) - 1) >> 1), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 1, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 2, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 3, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 4, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 4, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 5, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 5, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 6, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 6, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 7, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 8, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 9, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 9, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 10, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 10, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 11, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 11, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 12, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 13, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 14, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 14, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 15, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 15, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 16, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 16, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 17, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 18, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 19, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 19, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 20, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 20, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 21, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 21, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 22, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 23, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 24, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 24, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 25, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 25, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 26, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 26, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 27, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 28, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 29, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 29, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 30, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 30, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 31, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(op.op_id), 31, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(op.op_id), 32, 1)) - 1)) >> 0 & 31), 1) as op_id,
    case
      when op.seq > stream.cursor and stream.time_closed is not null then 'discarded'
      when op.seq > stream.frozen_seq then 'pending'
      when op.seq > stream.cursor then 'in_flight'
      when dead.seq is not null then 'failed'
      when superseded.seq is not null then 'superseded'
      else 'acked'
    end as state,
    case when op.seq > stream.cursor and op.seq <= stream.frozen_seq then stream.attempts else 0 end as attempts,
    case when op.seq > stream.cursor then stream.next_attempt_at end as next_retry_at,
    case when op.seq > stream.cursor then coalesce(stream.block, stream.last_error) else dead.code end as last_error
  from sturdy_op op
  join sturdy_stream stream on stream.stream_id = op.seq >> 32
  left join sturdy_dead_letter dead on dead.seq = op.seq
  left join sturdy_superseded superseded on superseded.seq = op.seq
  union all
  select substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 1, 1)) - 1) >> 1), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 1, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 2, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 3, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 4, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 4, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 5, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 5, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 6, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 6, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 7, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 8, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 9, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 9, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 10, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 10, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 11, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 11, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 12, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 13, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 14, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 14, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 15, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 15, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 16, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 16, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 17, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 18, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 19, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 19, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 20, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 20, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 21, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 21, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 22, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 23, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 24, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 24, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 25, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 25, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 26, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 26, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 27, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 28, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 29, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 29, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 30, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 30, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 31, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(superseded.op_id), 31, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(superseded.op_id), 32, 1)) - 1)) >> 0 & 31), 1), 'superseded', 0, null, null
  from sturdy_superseded superseded where not exists (select 1 from sturdy_op op where op.seq = superseded.seq)
  union all
  select substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((instr('0123456789ABCDEF', substr(hex(dead.op_id), 1, 1)) - 1) >> 1), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 1, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 2, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 3, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 4, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 4, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 5, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 5, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 6, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 6, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 7, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 8, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 9, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 9, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 10, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 10, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 11, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 11, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 12, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 13, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 14, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 14, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 15, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 15, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 16, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 16, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 17, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 18, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 19, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 19, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 20, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 20, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 21, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 21, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 22, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 23, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 24, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 24, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 25, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 25, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 26, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 26, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 27, 1)) - 1)) >> 0 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 28, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 29, 1)) - 1)) >> 3 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 29, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 30, 1)) - 1)) >> 2 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 30, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 31, 1)) - 1)) >> 1 & 31), 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (((instr('0123456789ABCDEF', substr(hex(dead.op_id), 31, 1)) - 1) * 16 + (instr('0123456789ABCDEF', substr(hex(dead.op_id), 32, 1)) - 1)) >> 0 & 31), 1), 'failed', 0, null, dead.code
  from sturdy_dead_letter dead where not exists (select 1 from sturdy_op op where op.seq = dead.seq);