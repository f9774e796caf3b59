"""keyspace/aws_profile.py: what the files of the AWS command line say."""

from __future__ import annotations

from pathlib import Path

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.aws_profile import Profile, read_profile

CREDENTIALS = """
[default]
aws_access_key_id = default-key
aws_secret_access_key = default%secret

[lab]
aws_access_key_id = lab-key
aws_secret_access_key = lab-secret
aws_session_token = lab-token
"""
CONFIG = """
[default]
region = eu-central-1

[profile lab]
region = eu-west-1
endpoint_url = https://minio.lab

[profile nested]
region = eu-north-1
services = mine
aws_access_key_id = nested-key
aws_secret_access_key = nested-secret

[services mine]
ec2 =
  endpoint_url = https://not.this
s3 =
  addressing_style = path
  endpoint_url = https://s3.mine

[profile old]
aws_access_key_id = old-key
s3 =
  endpoint_url = https://old

[profile sso]
sso_session = company
region = us-east-2

[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = default
aws_access_key_id = not-what-was-meant
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables that name two files."""
    (tmp_path / "credentials").write_text(CREDENTIALS)
    (tmp_path / "config").write_text(CONFIG)
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


LAB = Profile("lab", "lab-key", "lab-secret", "lab-token", "eu-west-1", "https://minio.lab")
PROFILES = {
    "default": Profile("default", "default-key", "default%secret", "", "eu-central-1"),
    "lab": LAB,
    "nested": Profile("nested", "nested-key", "nested-secret", "", "eu-north-1", "https://s3.mine"),
    "old": Profile("old", "old-key", endpoint="https://old"),
    "sso": Profile("sso", region="us-east-2", dynamic="sso_session"),
    "role": Profile("role", "not-what-was-meant", dynamic="role_arn"),
}


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_read(environment: dict[str, str], name: str) -> None:
    """Keys, region and endpoint of a profile come from both files; keys that must be fetched are named."""
    assert read_profile(name, environment) == PROFILES[name]


def test_the_environment_names_the_profile(environment: dict[str, str]) -> None:
    """Without a name it is the profile of AWS_PROFILE, then the default."""
    assert read_profile(None, environment | {"AWS_PROFILE": "lab"}) == LAB
    assert read_profile(None, environment | {"AWS_DEFAULT_PROFILE": "lab"}) == LAB
    assert read_profile(None, environment) == PROFILES["default"]


def test_no_files_are_no_profile(tmp_path: Path) -> None:
    """Most machines have no such files, and nobody asked for any."""
    missing = {"AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/a", "AWS_CONFIG_FILE": f"{tmp_path}/b"}

    assert read_profile(None, missing) is None
    with pytest.raises(InvalidInputError, match=r"AWS profile lab is neither in .*/a nor in .*/b\. Neither has any\."):
        read_profile("lab", missing)


def test_a_misspelled_profile_is_refused(environment: dict[str, str]) -> None:
    """A profile that somebody named must be there; those that are there are named."""
    with pytest.raises(InvalidInputError, match="There are default, lab, nested, old, role, sso"):
        read_profile(None, environment | {"AWS_PROFILE": "lap"})


def test_a_damaged_file_is_named(environment: dict[str, str]) -> None:
    """A file that is none of the kind is named."""
    Path(environment["AWS_CONFIG_FILE"]).write_text("region = nowhere\n")

    with pytest.raises(InvalidInputError, match=r"config cannot be read: File contains no section headers"):
        read_profile(None, environment)
