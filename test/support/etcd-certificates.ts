/** An authority, a certificate for members of etcd on this machine, and one for its clients: files for tests. */
import { webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { makeAuthority, signPeer } from '../../plugin/operator/certs/development-authority.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface EtcdCertificates {
  /** As options of LocalEtcd. */
  readonly server: {
    readonly authorityFile: string;
    readonly certificateFile: string;
    readonly keyFile: string;
  };
  /** As settings of `metadata`. */
  readonly client: {
    readonly authorityFile: string;
    readonly certificateFile: string;
    readonly keyFile: string;
  };
}

export async function makeEtcdCertificates(folder: string): Promise<EtcdCertificates> {
  mkdirSync(folder, { recursive: true });
  const term = { fromMs: Date.now(), days: 1 };
  const authority = await makeAuthority(term);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const authorityFile = file('authority.pem', authority.certificate);
  const server = await signServer(authority);
  const client = await signPeer(authority, { clusterId: 'default', role: 'storage', nodeId: 0 }, term);
  return {
    server: {
      authorityFile,
      certificateFile: file('server.pem', server.certificate),
      keyFile: file('server.key', server.key),
    },
    client: {
      authorityFile,
      certificateFile: file('client.pem', client.certificate),
      keyFile: file('client.key', client.key),
    },
  };
}

/** etcd's own certificate names the address; it is its client as well, since the gateway of etcd asks itself. */
async function signServer(authority: { readonly certificate: string; readonly key: string }) {
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    subject: 'CN=etcd',
    issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey: keys.publicKey as unknown as x509.PublicKeyType,
    signingKey: signingKey as unknown as CryptoKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: '01',
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.clientAuth,
        x509.ExtendedKeyUsage.serverAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
