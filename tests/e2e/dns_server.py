"""DNS for tests: unbound as a validating resolver over zones of ours. The root is signed, with all names in it but for those below
`insecure.` (a delegation without DS) and `bogus.` (a DS that no key fits)."""
import pathlib
import subprocess

import relais

HEAD = "{origin} 1 IN SOA ns.test. hostmaster.test. {serial} 3600 600 86400 1\n{origin} 1 IN NS ns.test.\n"
ZONES = {"insecure.": "", "bogus.": "bogus. 1 IN DS 12345 13 2 " + "ab" * 32 + "\n"}


class DnsServer:
    """A context manager. `trust_anchor`: the file with the root's key."""

    def __init__(self, directory, address):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True)
        self.address = address
        self.records = []
        self.serial = 0
        name = subprocess.run(["ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", "."],
                              cwd=self.dir, capture_output=True, text=True, check=True)
        self.key = self.dir / name.stdout.strip()
        self.trust_anchor = self.dir / "root.key"
        self.trust_anchor.write_text(self.key.with_name(self.key.name + ".key").read_text())
        self.process = None

    def add(self, *records):
        """Records as "NAME TYPE DATA", names with their dot; seen once publish() is called."""
        self.records += records

    def remove(self, *prefixes):
        self.records = [record for record in self.records if not record.startswith(prefixes)]

    def publish(self):
        """Writes and signs the zones; answers are the new ones once it returns (those with a TTL of 1 s that others keep aside)."""
        self.write_zones()
        if self.process:
            for zone in (".", *ZONES):
                self.control("auth_zone_reload", zone)
            self.control("flush_zone", ".")

    def zone_of(self, record):
        name = record.split()[0].lower()
        return next((zone for zone in ZONES if name == zone or name.endswith("." + zone)), ".")

    def parents(self):
        """Names above others that have no records: they get one, since unbound denies what is below an empty name with the wrong wildcard."""
        owners = {record.split()[0].lower() for record in self.records}
        above = {name.split(".", depth)[-1] for name in owners for depth in range(1, name.count("."))}
        return sorted(above - owners - set(ZONES))

    def write_zones(self):
        self.serial += 1
        for zone in (".", *ZONES):
            text = HEAD.format(origin=zone, serial=self.serial)
            if zone == ".":
                text += f"ns.test. 1 IN A {self.address}\n" + "".join(f"{name} 1 IN NS ns.test.\n{ds}" for name, ds in ZONES.items())
            for record in [*self.records, *(f'{name} TXT "-"' for name in self.parents())]:
                if self.zone_of(record) == zone:
                    name, data = record.split(" ", 1)
                    text += f"{name} 1 IN {data}\n"
            (self.dir / self.file(zone)).write_text(text)
        done = subprocess.run(["ldns-signzone", "-o", ".", "-f", "signed.zone", self.file("."), self.key.name], cwd=self.dir, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def file(zone):
        return (zone.strip(".") or "root") + ".zone"

    def control(self, *arguments, check=True):
        done = subprocess.run(["unbound-control", "-c", str(self.dir / "unbound.conf"), *arguments], capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.returncode == 0

    def __enter__(self):
        self.write_zones()
        zones = "".join(f'auth-zone:\n  name: "{zone}"\n  zonefile: "{self.dir / ("signed.zone" if zone == "." else self.file(zone))}"\n'
                        "  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n" for zone in (".", *ZONES))
        (self.dir / "unbound.conf").write_text(
            f'server:\n  directory: "{self.dir}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n  use-syslog: no\n  logfile: "{self.dir}/unbound.log"\n'
            f"  verbosity: 1\n  num-threads: 1\n  do-daemonize: no\n  interface: {self.address}\n  access-control: 0.0.0.0/0 allow\n"
            f'  trust-anchor-file: "{self.trust_anchor}"\n  local-zone: "test." nodefault\n  cache-max-ttl: 1\n  cache-max-negative-ttl: 1\n  val-bogus-ttl: 1\n'
            f'remote-control:\n  control-enable: yes\n  control-use-cert: no\n  control-interface: "{self.dir}/control"\n{zones}')
        self.process = subprocess.Popen(["unbound", "-d", "-c", str(self.dir / "unbound.conf")], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        relais.wait_until(lambda: self.process.poll() is not None or self.control("status", check=False), "the name server")
        assert self.process.poll() is None, (self.dir / "unbound.log").read_text()
        return self

    def __exit__(self, *failure):
        self.process.terminate()
        self.process.wait()
