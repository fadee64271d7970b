import type { Command } from 'commander';
import type { Settings } from '../../src/settings.ts';
import { accessRoles } from '../metadata/etcd/access-roles.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from './flags.ts';
import { printJson, printLine } from './output.ts';

export function addEtcdRolesCommand(program: Command): void {
  withJson(withConfig(program.command('etcd-roles')))
    .description('print the etcdctl commands that let each kind of process write only what is its own')
    .action(async (flags: CommonFlags) =>
      printEtcdRoles((await settingsOf(flags)).settings, { isJson: flags.json === true }),
    );
}

/** `foreshard etcd-roles`: what an administrator of etcd runs once, to read and to pipe into a shell. */
function printEtcdRoles({ cluster }: Settings, { isJson }: { readonly isJson: boolean }): void {
  if (isJson) printJson({ roles: accessRoles(cluster.name) });
  else for (const line of etcdRoleLines(cluster.name)) printLine(line);
}

/** Lines of a shell script. Passwords come from files: arguments of a process are read by everybody on its machine. */
export function etcdRoleLines(clusterName: string): string[] {
  const roles = accessRoles(clusterName);
  const passwords = roles.map(({ name }) => `${name}.password`).join(' ');
  return [
    `# Roles of etcd for the processes of cluster ${clusterName}. Before: name the members in ETCDCTL_ENDPOINTS (and ETCDCTL_CACERT,`,
    '# ETCDCTL_CERT, ETCDCTL_KEY), and put a password without blanks into each of these files, of mode 0600, in this folder:',
    `#   ${passwords}`,
    'set -e',
    'export ETCDCTL_API=3',
    ...roles.flatMap(({ name, who, grants }) => [
      '',
      `# ${who}: metadata.user: ${name}, metadata.passwordFile: ${name}.password`,
      `etcdctl role add ${name}`,
      ...grants.map(
        ({ access, prefix }) => `etcdctl role grant-permission ${name} --prefix=true ${access} ${prefix}`,
      ),
      `etcdctl user add ${name} --interactive=false < ${name}.password`,
      `etcdctl user grant-role ${name} ${name}`,
    ]),
    '',
    '# None of this is asked for before authentication is on; etcd wants a user root for that:',
    '#   etcdctl user add root && etcdctl user grant-role root root && etcdctl auth enable',
  ];
}
