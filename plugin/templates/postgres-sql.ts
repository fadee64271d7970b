import type { SqlParser } from '../../src/analyzer/patterns/templates.ts';

const FINGERPRINT = /^[0-9a-f]{16}$/;

/**
 * PostgreSQL's own parser, compiled to WebAssembly (npm `libpg-query`): the fingerprint of a statement is the same whatever its
 * literals, its layout and the lengths of its lists are.
 *
 * Loading it takes some 20 ms and its memory only grows (to some 100 MB after a text of a megabyte: `Templates` passes none above
 * 64 KiB), so it is loaded when the first log with SQL is read, never by a node.
 *
 * @see pg_query, "Fingerprinting": https://github.com/pganalyze/libpg_query/wiki/Fingerprinting
 */
export async function openPostgresParser(): Promise<SqlParser> {
  const { loadModule, normalizeSync, fingerprintSync } = await import('libpg-query');
  await loadModule();
  return {
    parse(text) {
      // C ends a string there: what comes after would not be looked at.
      if (text.includes('\0')) return null;
      try {
        // Some errors are thrown, others are returned where the result should be.
        const fingerprint = fingerprintSync(text);
        return FINGERPRINT.test(fingerprint) ? { fingerprint, normalised: normalizeSync(text) } : null;
      } catch {
        return null;
      }
    },
  };
}
