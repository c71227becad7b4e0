# Every word of part of the kernel's sources and the lines that it is on, as a program
# does it that is no compiler: one process, whose memory is full of small objects that
# point to each other. Perl orders its hashes by chance; what is printed is sorted.
cd /work/linux || exit 1
exec perl -e '
    use strict;
    my %lines;
    for my $file (sort map { glob } "lib/*.c", "mm/*.c", "kernel/*.c") {
        open my $source, "<", $file or die "$file: $!\n";
        while (my $line = <$source>) {
            push @{$lines{$_}}, "$file:$." for $line =~ /\w+/g;
        }
    }
    print "$_ @{$lines{$_}}\n" for sort keys %lines;
'
