import { h } from './dom.ts';

/** Asks for the reason of an order, which the audit keeps; null when it was thought better of. */
export function askReason(question: string): Promise<string | null> {
  const reason = h('input', {
    type: 'text',
    required: true,
    maxlength: 500,
    id: 'reason',
    autocomplete: 'off',
  });
  const form = h(
    'form',
    { method: 'dialog' },
    h('p', {}, question),
    h('label', { for: 'reason' }, 'Why, for the audit'),
    h('div', { class: 'row' }, reason),
    h(
      'div',
      { class: 'row' },
      h('button', { type: 'submit', class: 'main', value: 'yes' }, 'Do it'),
      h('button', { type: 'submit', value: 'no', formnovalidate: true }, 'Leave it'),
    ),
  );
  const dialog = h('dialog', { 'aria-label': question }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener('close', () => {
      const given = reason.value.trim();
      resolve(dialog.returnValue === 'yes' && given !== '' ? given : null);
      dialog.remove();
    }),
  );
}
