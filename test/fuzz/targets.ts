import type { FuzzTarget } from './target.ts';
import { ConfigTarget } from './targets/config.ts';
import { FramesTarget } from './targets/frames.ts';
import { InstanceTarget } from './targets/instance.ts';
import { LogsTarget } from './targets/logs.ts';
import { MetadataTarget } from './targets/metadata.ts';
import { RespTarget } from './targets/resp.ts';

export const TARGETS = {
  resp: () => new RespTarget(),
  frames: () => new FramesTarget(),
  metadata: () => new MetadataTarget(),
  config: () => new ConfigTarget(),
  logs: () => new LogsTarget(),
  instance: () => new InstanceTarget(),
} as const satisfies Readonly<Record<string, () => FuzzTarget>>;

export type TargetName = keyof typeof TARGETS;
export const TARGET_NAMES = Object.keys(TARGETS) as readonly TargetName[];
