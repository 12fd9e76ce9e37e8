# 11.32: README.md, the pages of docs/ and the files of examples/ are executed as a reader would, each in a database of its own.
#
# A page is one session of psql as the role app. A block of sql is executed; what psql prints is compared with the block of text that
# follows it. In comments of the page: "as ROLE" before a block executes it as that role, "not executed: reason" leaves it out, and
# "sql" hides statements from the reader. In expected text ... stands for anything within a line; times, ids and spaces do not count.
# Blocks of conf name settings that exist. Links lead to files and headings.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use File::Basename qw(basename dirname);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $has_cron = -e $node->config_data('--sharedir') . '/extension/pg_cron.control';
my @pages = $ENV{AION_PAGES} ? split(' ', $ENV{AION_PAGES}) : ('README.md', sort glob 'docs/*.md');

# The fenced blocks of a page, with what comments say of them.
sub blocks_of
{
	my ($page) = @_;
	my (@blocks, $block, $remark, $hidden);
	my $number = 0;
	for my $line (split /\n/, slurp_file($page))
	{
		$number++;
		if ($hidden)
		{
			if ($line eq '-->') { push @blocks, $hidden; undef $hidden }
			else { $hidden->{text} .= "$line\n" }
		}
		elsif ($block)
		{
			if ($line =~ /^```/) { push @blocks, $block; undef $block }
			else { $block->{text} .= "$line\n" }
		}
		elsif ($line =~ /^```(\w*)/) { $block = { line => $number, language => $1, text => '', %{ $remark // {} } }; undef $remark }
		elsif ($line =~ /^<!-- sql( as (\w+))?$/) { $hidden = { line => $number, language => 'sql', text => '', hidden => 1, $1 ? (as => $2) : () } }
		elsif ($line =~ /^<!-- as (\w+) -->$/) { $remark = { as => $1 } }
		elsif ($line =~ /^<!-- not executed: (.+) -->$/) { $remark = { reason => $1 } }
		elsif ($line =~ /^<!--/) { fail("$page:$number: a comment of a known form") }
		elsif ($remark && $line ne '') { fail("$page:$number: a comment is followed by a block"); undef $remark }
	}
	fail("$page: each block ends") if $block || $hidden;
	return @blocks;
}

# Executes statements in psql; returns what it says on both channels.
sub execute
{
	my ($database, $sql) = @_;
	my $out;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/page.sql';
	unlink $file;
	append_to_file($file, $sql);
	local $ENV{PGTZ} = 'UTC';
	IPC::Run::run([ $node->installed_command('psql'), '-Xq', '-P', 'pager=off', '-d', $node->connstr($database) . ' user=postgres', '-f', $file ],
		'<', \'', '>&', \$out, IPC::Run::timeout(3 * $PostgreSQL::Test::Utils::timeout_default));
	return $out =~ s/^psql:[^ ]*:\d+: //gmr;
}

# What differs between two executions is replaced.
sub normal
{
	my ($text) = @_;
	$text =~ s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/ID/g;
	$text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?/TIME/g;
	$text =~ s/\b\d\d:\d\d:\d\d(\.\d+)?/DURATION/g;
	$text =~ s/-+/-/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/^ | $//gm;
	$text =~ s/\n+\z//;
	$text =~ s/\A\n+//;
	return $text;
}

# Tells whether psql printed what the page shows.
sub agrees
{
	my ($printed, $shown) = @_;
	my $pattern = join '', map { $_ eq '...' ? '.*' : quotemeta } split /(\.\.\.)/, normal($shown);
	return normal($printed) =~ /\A$pattern\z/;
}

sub run_page
{
	my ($page) = @_;
	my @blocks = blocks_of($page);
	my $database = $page eq 'README.md' ? 'readme' : basename($page, '.md') =~ tr/-/_/r;
	my $sql = $page eq 'README.md' ? '' : "\\c - app\n";
	my $count = 0;
	for my $index (grep { $blocks[$_]{language} eq 'sql' && !$blocks[$_]{reason} } 0 .. $#blocks)
	{
		my $block = $blocks[$index];
		$count++;
		$sql .= "\\c - $block->{as}\n" if $block->{as};
		$sql .= "\\echo \@begin $index\@\n$block->{text}\\echo \@end $index\@\n";
		$sql .= "\\c - app\n" if $block->{as};
	}
	if ($count == 0) { pass("$page: nothing to execute"); return }
	begin_database($database, $page);
	my $out = execute($database, $sql);
	for my $index (0 .. $#blocks)
	{
		my $block = $blocks[$index];
		my $name = "$page:$block->{line}";
		if ($block->{language} eq 'conf')
		{
			for my $setting ($block->{text} =~ /^#?\s*([a-z_.]+)\s*=/gm)
			{
				is($node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE name = '$setting'"), 1, "$name: there is a setting $setting");
			}
		}
		elsif ($block->{language} eq 'sql')
		{
			next if $block->{reason};
			my ($printed) = $out =~ /^\@begin $index\@\n(.*?)^\@end $index\@$/ms;
			ok(defined $printed, "$name: psql executes the block to its end") or do { diag($out); next };
			my $next = $blocks[ $index + 1 ];
			if (!$block->{hidden} && $next && $next->{language} eq 'text' && !$next->{reason})
			{
				ok(agrees($printed, $next->{text}), "$name: psql prints what the page shows") or diag("printed:\n$printed\nshown:\n$next->{text}");
			}
			else { unlike($printed, qr/^(ERROR|FATAL|WARNING|invalid command)/m, "$name: no error") }
		}
		elsif ($block->{language} eq 'text') { ok($block->{reason} || $index && $blocks[ $index - 1 ]{language} eq 'sql', "$name: follows a block of sql") }
		else { ok($block->{reason}, "$name: says why a block of '$block->{language}' is not executed") }
	}
	all_sound($node, $page, $database);
	end_database($database);
}

# A database as the page on installation leaves it; README.md installs the extension itself.
sub begin_database
{
	my ($database, $page) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	return if $page eq 'README.md';
	$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
	$node->safe_psql($database, q{CREATE EXTENSION aion; GRANT CREATE ON SCHEMA public TO app; SELECT aion.grant_usage('app')});
	$node->safe_psql($database, 'CREATE EXTENSION pg_cron') if $has_cron && $database eq 'schedules';
}

sub end_database
{
	my ($database) = @_;
	my $roles = $node->safe_psql('postgres', q{SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE oid >= 16384 AND rolname <> 'postgres'});
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
	$node->safe_psql('postgres', "DROP OWNED BY $roles; DROP ROLE $roles");
}

# An example is a file for psql; at its end it says how to start its workflow, which goes on.
sub run_example
{
	my ($example) = @_;
	my $text = slurp_file($example);
	my ($start) = $text =~ /((?:^-- .*\n)+)\z/m;
	ok($start, "$example says how to start it") or return;
	$start =~ s/^-- (?:.*:$)?//mg;
	begin_database('example', $example);
	$node->safe_psql('example', 'GRANT CREATE ON DATABASE example TO app') if $text =~ /^-- .*CREATE on the database/m;
	unlike(execute('example', "\\c - app\n$text$start"), qr/^(ERROR|FATAL|WARNING)/m, "$example: psql executes it, and what its end says");
	ok($node->poll_query_until('example', q{SELECT count(*) > 0 AND bool_and(r.blocked IS NULL AND h.events > 1)
		FROM aion.workflow_run r CROSS JOIN LATERAL (SELECT count(*) AS events FROM aion.history_event h WHERE h.run_key = r.run_key) h}), "$example: the workflow goes on");
	all_sound($node, $example, 'example');
	end_database('example');
}

# The anchors that GitHub and MkDocs make of headings.
sub anchors_of
{
	my ($page) = @_;
	my $text = slurp_file($page) =~ s/^```.*?^```//gmsr;
	return map { my $anchor = lc; $anchor =~ s/[^\w\s-]//g; $anchor =~ s/\s+/-/g; $anchor => 1 } $text =~ /^#+ (.*?)\s*$/gm;
}

sub check_links
{
	my ($page) = @_;
	my $text = slurp_file($page) =~ s/^```.*?^```//gmsr;
	$text =~ s/`[^`\n]*`//g;
	for my $link ($text =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ m{^https?://};
		my ($file, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
		my $target = $file eq '' ? $page : dirname($page) . "/$file";
		if (!-e $target) { fail("$page: $link leads to a file"); next }
		my %anchors = $target =~ /\.md$/ ? anchors_of($target) : ();
		fail("$page: $link leads to a heading") if $anchor ne '' && !$anchors{$anchor};
	}
	pass("$page: all links were followed");
}

$node->append_conf('postgresql.conf', ($has_cron ? "shared_preload_libraries = 'pg_cron,aion'\ncron.database_name = 'schedules'\ncron.use_background_workers = on\n" : "shared_preload_libraries = 'aion'\n")
	. "max_worker_processes = 24\nfsync = off\ntimezone = UTC\nmax_prepared_transactions = 5\n");
$node->start;
$node->safe_psql('postgres', q{DO $$ BEGIN IF current_user <> 'postgres' THEN CREATE ROLE postgres SUPERUSER LOGIN; END IF; END $$});
for my $page (@pages)
{
	check_links($page);
	run_page($page);
}
run_example($_) for $ENV{AION_PAGES} ? () : sort glob 'examples/*.sql';
if (grep { $_ eq 'docs/reference.md' } @pages)
{
	$node->safe_psql('postgres', 'CREATE EXTENSION aion');
	my $reference;
	IPC::Run::run([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres') . ' user=postgres', '-f', 'packaging/docs/reference.sql' ], '<', \'', '>', \$reference);
	ok($reference eq slurp_file('docs/reference.md'), 'docs/reference.md is current (make docs/reference.md)');
}
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|XX000/, 'nothing failed inside of the server');
$node->stop;
done_testing();
