"""Perl's Net::POP3, in a small program that knows what it has by its unique-ids."""

from .device import PLAIN, STLS, TLS, Device, Maildir, lf

PROGRAM = r"""
use strict;
use warnings;
use Net::POP3;
use Authen::SASL;
my ($port, $transport, $mechanism, $user, $password, $keep, $out) = @ARGV;
my %seen;
if (open(my $in, '<', 'seen')) { chomp, $seen{$_} = 1 while <$in> }
my $pop = Net::POP3->new('localhost', Port => $port, Timeout => 60, SSL => $transport eq 'tls' ? 1 : 0, SSL_verify_mode => 0)
    or die "no connection: $@";
if ($transport eq 'stls') { $pop->starttls(SSL_verify_mode => 0) or die 'STLS: ' . $pop->message }
my $count = $mechanism eq 'APOP' ? $pop->apop($user, $password)
          : $mechanism ? $pop->auth(Authen::SASL->new(mechanism => $mechanism, callback =>
                                    { user => $user, authname => '', pass => $password })) || undef : $pop->login($user, $password);
defined $count or die 'login: ' . $pop->message;
my $ids = $pop->uidl;
for my $number (sort { $a <=> $b } keys %$ids) {
    my $id = $ids->{$number};
    if (!$seen{$id}) {
        my $lines = $pop->get($number) or die "RETR $number: " . $pop->message;
        my $last = $pop->message;
        open(my $file, '>:raw', "$out/tmp/$id") or die $!;
        print $file @$lines;
        close $file or die $!;
        rename "$out/tmp/$id", "$out/new/" . sprintf('%06d-', $number) . $id or die $!;
        open(my $seen, '>>', 'seen') or die $!;
        print $seen "$id\n";
        close $seen or die $!;
        $seen{$id} = 1;
    }
    if (!$keep) { $pop->delete($number) or die "DELE $number: " . $pop->message }
}
$pop->quit or die 'QUIT: ' . $pop->message;
"""


class NetPop3(Device):
    programs = ("perl",)
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "APOP")

    def set_up(self):
        self.maildir = Maildir(self.directory / "Maildir")

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        self.run("perl", "-e", PROGRAM, self.port_of(transport, port), transport, mechanism or "", self.account, self.password,
                 1 if keep else 0, self.maildir.path, codes=(0,), fails=fails)
        return [lf(copy) for copy in self.maildir.new()]  # over TLS it leaves the CRs in, else not
