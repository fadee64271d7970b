// The pages and the side bar are made by ../build.ts, which starts VitePress.
import { readFileSync } from 'node:fs';

const sidebar = JSON.parse(readFileSync(new URL('../../build/site/sidebar.json', import.meta.url), 'utf8'));

/** As GitHub makes anchors of headings: the pages are read there as well. */
const slugify = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

export default {
  title: 'Foreshard',
  description: 'Forecasts where a sharded database will be hot and moves the data there first.',
  srcDir: './dist/pages',
  outDir: '../build/site/html',
  cacheDir: '../build/site/cache',
  // Text such as <host> in a sentence is text. A page has no components of its own.
  markdown: { html: false, anchor: { slugify } },
  // The reference of the API is made by TypeDoc, after the pages.
  ignoreDeadLinks: [/^\/api\//],
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar,
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'Commands', link: '/commands/' },
      { text: 'Settings', link: '/settings' },
      { text: 'API', link: '/api/index.html', target: '_self' },
    ],
  },
};
